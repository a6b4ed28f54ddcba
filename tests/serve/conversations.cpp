// Conversations on disk and over HTTP.
#include "qkv/core/error.h"
#include "qkv/serve/conversation_store.h"
#include "qkv/serve/handlers.h"
#include "tests/serve/asked.h"

#include <sys/wait.h>
#include <unistd.h>

namespace qkv {
namespace {

struct Folder {
  Folder() : path(fs::temp_directory_path() / fmt::format("qkv-conversations-{}", ::getpid())) { fs::remove_all(path); }
  ~Folder() { fs::remove_all(path); }
  fs::path path;
};

// All bytes that the store has on the disk.
std::string bytes_of(const fs::path& folder) {
  std::string all;
  for (const auto& entry : fs::directory_iterator(folder)) all += read_file(entry.path());
  return all;
}

TEST(Conversations, AreTreesOfMessages) {
  Folder folder;
  ConversationStore store(folder.path / "deep/er");
  const std::string id = store.create({{"title", "one"}, {"settings", {{"temperature", 0.5}}}})["id"];
  const int64_t question = (*store.add(id, {{"role", "user"}, {"content", "Grüße"}}))["id"];
  const int64_t answer = (*store.add(id, {{"role", "assistant"}, {"content", "a"}, {"parent", question}}))["id"];
  store.add(id, {{"role", "assistant"}, {"content", "b"}, {"parent", question}, {"extra", {{"model", "m"}}}});
  OrderedJson read = *store.read(id);
  ASSERT_EQ(read["messages"].size(), 3U);
  EXPECT_EQ(read["messages"][2]["parent"], question);
  EXPECT_EQ(read["messages"][2]["extra"]["model"], "m");
  EXPECT_EQ(read["leaf"], read["messages"][2]["id"]);
  EXPECT_EQ(read["settings"]["temperature"], 0.5);
  store.change(id, {{"title", "two"}, {"leaf", answer}});
  read = *store.read(id);
  EXPECT_EQ(read["title"], "two");
  EXPECT_EQ(read["leaf"], answer);
  EXPECT_EQ(read["settings"]["temperature"], 0.5);

  const std::string other = store.create({{"title", "100%"}})["id"];
  EXPECT_EQ(store.list().size(), 2U);
  EXPECT_EQ(store.list("rüße").size(), 1U);
  EXPECT_EQ(store.list("TWO")[0]["id"], id);
  EXPECT_EQ(store.list("0%")[0]["id"], other);
  EXPECT_EQ(store.list("%").size(), 1U);
  EXPECT_EQ(store.list("' OR 1=1 --").size(), 0U);

  EXPECT_FALSE(store.read("none"));
  EXPECT_FALSE(store.add("none", {{"role", "user"}}));
  EXPECT_FALSE(store.change("none", {{"title", "x"}}));
  EXPECT_THROW(store.add(other, {{"role", "user"}, {"parent", question}}), Error);  // of another conversation
  EXPECT_THROW(store.change(other, {{"leaf", question}}), Error);
  EXPECT_THROW(store.add(id, {{"content", "x"}}), Error);
  EXPECT_THROW(store.create({{"title", 5}}), Error);
}

TEST(Conversations, ExportsComeBack) {
  Folder folder;
  OrderedJson document;
  {
    ConversationStore store(folder.path / "a");
    const std::string id = store.create({{"title", "t"}})["id"];
    const int64_t question = (*store.add(id, {{"role", "user"}, {"content", "q"}}))["id"];
    store.add(id, {{"role", "assistant"}, {"content", "x"}, {"parent", question}});
    store.add(id, {{"role", "assistant"}, {"content", "y"}, {"parent", question}});
    store.change(id, {{"leaf", question}});
    document = store.export_all();
  }
  ConversationStore store(folder.path / "b");
  store.create({{"title", "was there"}});
  EXPECT_EQ(store.import_all(document), 1);
  const OrderedJson after = store.export_all()["conversations"];
  ASSERT_EQ(after.size(), 2U);
  const OrderedJson& come = after[0]["title"] == "t" ? after[0] : after[1];
  EXPECT_EQ(come["leaf"], come["messages"][0]["id"]);
  EXPECT_EQ(come["messages"][2]["parent"], come["messages"][0]["id"]);
  EXPECT_EQ(come["messages"][2]["content"], "y");
  OrderedJson bad = document;
  bad["conversations"].push_back({{"messages", {{{"role", "user"}, {"parent", 99}}}}});
  EXPECT_THROW(store.import_all(bad), Error);
  EXPECT_EQ(store.list().size(), 2U);  // all or nothing
  EXPECT_THROW(store.import_all({{"format", "other"}}), Error);
}

TEST(Conversations, WhatIsDeletedIsGone) {
  Folder folder;
  ConversationStore store(folder.path);
  std::string secret = "verysecretword";
  const std::string id = store.create({{"title", secret}})["id"];
  for (int i = 0; i < 50; ++i) store.add(id, {{"role", "user"}, {"content", secret + std::string(2000, 'x')}});
  EXPECT_NE(bytes_of(folder.path).find(secret), std::string::npos);
  EXPECT_TRUE(store.remove(id));
  EXPECT_FALSE(store.remove(id));
  EXPECT_EQ(bytes_of(folder.path).find(secret), std::string::npos);
}

TEST(Conversations, AreTheirOwnersAlone) {
  Folder folder;
  ConversationStore store(folder.path);
  EXPECT_EQ(fs::status(folder.path / "conversations.db").permissions() & (fs::perms::group_all | fs::perms::others_all),
            fs::perms::none);
}

TEST(Conversations, StayWhenTheProgramIsKilled) {
  Folder folder;
  fs::create_directories(folder.path);
  int told[2];
  ASSERT_EQ(pipe(told), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ConversationStore store(folder.path);
    const std::string id = store.create({{"title", "t"}})["id"];
    for (int64_t i = 0;; ++i) {
      store.add(id, {{"role", "user"}, {"content", std::to_string(i)}});
      if (write(told[1], &i, sizeof i) != sizeof i) _exit(1);
    }
  }
  close(told[1]);
  int64_t last = -1;
  while (last < 100) ASSERT_EQ(read(told[0], &last, sizeof last), static_cast<ssize_t>(sizeof last));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  for (int64_t more; read(told[0], &more, sizeof more) == sizeof more;) last = more;
  close(told[0]);
  ConversationStore store(folder.path);
  const OrderedJson messages = (*store.read(store.list()[0]["id"]))["messages"];
  ASSERT_GE(std::ssize(messages), last + 1);
  for (int64_t i = 0; i <= last; ++i) EXPECT_EQ(messages[static_cast<size_t>(i)]["content"], std::to_string(i));
}

TEST(Conversations, FilesThatAreNoDatabaseAreRefused) {
  Folder folder;
  fs::create_directories(folder.path);
  write_file(folder.path / "conversations.db", std::string(4096, 'x'));
  EXPECT_THROW(ConversationStore{folder.path}, Error);
}

TEST(Conversations, AFullDiskIsToldAsOne) {
  Folder folder;
  fs::create_directories(folder.path);
  Database database(folder.path / "small.db");
  database.run("CREATE TABLE t (x TEXT); PRAGMA max_page_count = 4");
  const std::string text(100'000, 'x');
  try {
    Statement(database, "INSERT INTO t VALUES (?)").bind(text).run();
    FAIL() << "there was room";
  } catch (const DatabaseError& error) {
    EXPECT_NE(error.hint().find("free some space"), std::string::npos) << error.what();
  }
}

TEST(Conversations, OverHttp) {
  Folder folder;
  TinyModel model("bert_masked_lm_untied");
  ModelStore models({"tiny=" + model.path.string()}, {});
  Service service({}, models);
  add_conversations(service.routes(), folder.path);
  const Got made = ask(service, "/conversations", {{"title", "über a&b"}});
  EXPECT_EQ(made.status, 201);
  const std::string id = made.json()["id"];
  EXPECT_EQ(ask(service, "/conversations/" + id + "/messages", {{"role", "user"}, {"content", "hi"}}).status, 201);
  const auto send = [&](const std::string& method, const std::string& path, const std::string& query = "",
                        const std::string& body = "") {
    return ask_later(service, {.method = method, .path = path, .query = query, .body = body}).get();
  };
  EXPECT_EQ(send("GET", "/conversations/" + id).json()["messages"][0]["content"], "hi");
  EXPECT_EQ(send("GET", "/conversations", "x=1&search=%C3%BCber+a%26b").json()["conversations"].size(), 1U);
  EXPECT_EQ(send("GET", "/conversations", "search=nothing").json()["conversations"].size(), 0U);
  EXPECT_EQ(send("PATCH", "/conversations/" + id, "", R"({"title": "new"})").json()["title"], "new");
  const std::string all = send("GET", "/conversations/export").body;
  EXPECT_EQ(send("DELETE", "/conversations/" + id).status, 200);
  EXPECT_EQ(send("GET", "/conversations/" + id).status, 404);
  EXPECT_EQ(send("DELETE", "/conversations/" + id).status, 404);
  EXPECT_EQ(send("POST", "/conversations/import", "", all).json()["imported"], 1);
  EXPECT_EQ(send("POST", "/conversations", "", R"({"title": 5})").status, 400);
  EXPECT_EQ(send("POST", "/conversations", "", "{").status, 400);
  EXPECT_EQ(send("DELETE", "/conversations").status, 200);
  EXPECT_EQ(send("GET", "/conversations").json()["conversations"].size(), 0U);
}

}  // namespace
}  // namespace qkv
