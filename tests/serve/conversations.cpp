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
  EXPECT_EQ(store.list("_").size(), 0U);
  EXPECT_EQ(store.list("' OR 1=1 --").size(), 0U);

  EXPECT_FALSE(store.read("none"));
  EXPECT_FALSE(store.add("none", {{"role", "user"}}));
  EXPECT_FALSE(store.change("none", {{"title", "x"}}));
  EXPECT_THROW(store.add(other, {{"role", "user"}, {"parent", question}}), Error);  // of another conversation
  EXPECT_THROW(store.change(other, {{"leaf", question}}), Error);
  EXPECT_THROW(store.add(id, {{"content", "x"}}), Error);
  EXPECT_THROW(store.create({{"title", 5}}), Error);
}

TEST(Conversations, AreFoundWhateverTheirCase) {
  Folder folder;
  ConversationStore store(folder.path);
  const std::string id = store.create({{"title", "Über Straßen"}})["id"];
  store.add(id, {{"role", "user"}, {"content", "Привет, МИР! ΣΊΣΥΦΟΣ cafe\u0301"}});
  for (const char* search : {"über", "ÜBER", "u\u0308BER", "STRASSEN", "straßen", "привет", "мир", "σίσυφος", "CAFÉ"})
    EXPECT_EQ(store.list(search).size(), 1U) << search;
  for (const char* search : {"uber", "мор", "\xff"}) EXPECT_EQ(store.list(search).size(), 0U) << search;
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
  const ConversationStore::Removed removed = store.remove(id);
  EXPECT_TRUE(removed.there);
  EXPECT_TRUE(removed.erased);
  EXPECT_FALSE(store.remove(id).there);
  EXPECT_EQ(bytes_of(folder.path).find(secret), std::string::npos);
}

// Another program's reading holds the log: that is said, and made good later.
TEST(Conversations, WhatIsDeletedWhileOthersReadIsErasedLater) {
  for (const bool by_the_next_write : {true, false}) {
    Folder folder;
    const std::string secret = "verysecretword";
    auto store = std::make_unique<ConversationStore>(folder.path);
    const std::string id = store->create({{"title", secret}})["id"];
    store->add(id, {{"role", "user"}, {"content", secret}});
    Database other(folder.path / "conversations.db");
    other.run("BEGIN; SELECT count(*) FROM messages");
    const ConversationStore::Removed removed = store->remove(id);
    EXPECT_TRUE(removed.there);
    EXPECT_FALSE(removed.erased);
    EXPECT_FALSE(store->read(id));
    EXPECT_NE(bytes_of(folder.path).find(secret), std::string::npos);
    store->create({{"title", "not waiting"}});
    other.run("COMMIT");
    if (by_the_next_write) {
      store->create({{"title", "harmless"}});
    } else {
      store = nullptr;
    }
    EXPECT_EQ(bytes_of(folder.path).find(secret), std::string::npos) << by_the_next_write;
  }
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
  // Fields have their names and types.
  const std::string kept = ask(service, "/conversations", OrderedJson::object()).json()["id"];
  const auto refuses = [&](const std::string& method, const std::string& path, const OrderedJson& body,
                           const std::string& field) {
    const Got got = send(method, path, "", body.dump());
    EXPECT_EQ(got.status, 400) << body;
    EXPECT_EQ(got.json()["error"]["param"], field) << body;
  };
  const std::string messages = "/conversations/" + kept + "/messages";
  refuses("POST", "/conversations", {{"titel", "x"}}, "titel");
  refuses("POST", "/conversations", {{"settings", {{"system", 3}}}}, "settings.system");
  refuses("POST", "/conversations", {{"settings", {{"top_k", "7"}}}}, "settings.top_k");
  refuses("POST", "/conversations", {{"settings", 3}}, "settings");
  refuses("PATCH", "/conversations/" + kept, {{"leaf", "1"}}, "leaf");
  refuses("PATCH", "/conversations/" + kept, {{"title", nullptr}, {"id", "x"}}, "id");
  refuses("POST", messages, {{"role", "user"}, {"contnt", "typo"}}, "contnt");
  refuses("POST", messages, {{"role", "user"}, {"content", 5}}, "content");
  refuses("POST", messages, {{"content", "x"}}, "role");
  refuses("POST", messages, {{"role", "user"}, {"parent", 1.5}}, "parent");
  refuses("POST", messages, {{"role", "user"}, {"extra", {{"tokens", "x"}}}}, "extra.tokens");
  refuses("POST", messages, {{"role", "user"}, {"extra", {{"tokens", {{{"text", 5}}}}}}}, "extra.tokens.text");
  const auto brings = [&](OrderedJson conversation, const std::string& field) {
    if (!conversation.contains("messages")) conversation["messages"] = OrderedJson::array();
    refuses("POST", "/conversations/import",
            {{"format", "qkv conversations 1"}, {"conversations", OrderedJson::array({conversation})}}, field);
  };
  brings({{"settings", {{"system", 3}}}}, "conversations[0].settings.system");
  brings({{"titel", "x"}}, "conversations[0].titel");
  brings({{"messages", OrderedJson::array({OrderedJson{{"role", "user"}, {"text", "x"}}})}},
         "conversations[0].messages[0].text");
  EXPECT_EQ(send("GET", "/conversations/" + kept).json()["messages"].size(), 0U);
  EXPECT_EQ(send("PATCH", "/conversations/" + kept, "", R"({"settings": {"mine": [1]}, "leaf": null})").status, 200);
  EXPECT_EQ(send("DELETE", "/conversations").json(), OrderedJson({{"deleted", true}, {"erased", true}}));
  EXPECT_EQ(send("GET", "/conversations").json()["conversations"].size(), 0U);
}

// An export is longer than other requests; only who may ask may send so much.
TEST(Conversations, ImportsMayBeLong) {
  Folder folder;
  TinyModel model("bert_masked_lm_untied");
  ModelStore models({"tiny=" + model.path.string()}, {});
  Service service({.api_keys = {"key"}, .hosts = {"localhost"}}, models);
  add_conversations(service.routes(), folder.path);
  HttpRequest head{.method = "POST", .path = "/conversations/import", .headers = {{"host", "localhost"}}};
  EXPECT_EQ(service.longer_body(head), 0U);
  head.headers.emplace_back("authorization", "Bearer key");
  EXPECT_EQ(service.longer_body(head), 256U << 20);
  head.path = "/conversations";
  EXPECT_EQ(service.longer_body(head), 0U);
  head.path = "/conversations/import";
  head.headers[0].second = "elsewhere";
  EXPECT_EQ(service.longer_body(head), 0U);
}

}  // namespace
}  // namespace qkv
