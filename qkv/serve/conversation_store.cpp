#include "qkv/serve/conversation_store.h"

#include "qkv/core/error.h"
#include "qkv/text/case_folding.h"

#include <chrono>
#include <map>
#include <random>

namespace qkv {
namespace {

constexpr const char* export_format = "qkv conversations 1";
constexpr size_t most_imported = 100'000;
// Deleting is written into the log before it frees anything: so many bytes of the disk are left free for it.
constexpr uintmax_t reserve = 512 << 10;
// Whoever deletes waits so long for another program that reads the file.
constexpr std::chrono::milliseconds erasing_patience{1000};

fs::path made(const fs::path& directory) {
  const bool fresh = !fs::exists(directory);
  std::error_code error;
  fs::create_directories(directory, error);
  if (error)
    throw DatabaseError(directory.string(), fmt::format("cannot be made: {}", error.message()),
                        "choose another place with --data DIR, or none with --data none");
  if (fresh) fs::permissions(directory, fs::perms::owner_all);
  return directory / "conversations.db";
}

int64_t now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string fresh_conversation_id() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}{:08x}", device(), device(), device());
}

std::string text_field(const OrderedJson& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return "";
  if (!found->is_string()) throw Error(name, "must be a string");
  return found->get<std::string>();
}

std::optional<int64_t> id_field(const OrderedJson& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return {};
  if (!found->is_number_integer()) throw Error(name, "must be the id of a message");
  return found->get<int64_t>();
}

// An object as its text; "{}" where it is absent.
std::string object_field(const OrderedJson& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return "{}";
  if (!found->is_object()) throw Error(name, "must be an object");
  return found->dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

bool holds(std::string_view text, std::string_view folded_part) {
  return folded(text).find(folded_part) != std::string::npos;
}

}  // namespace

ConversationStore::ConversationStore(const fs::path& directory) : directory_(directory), database_(made(directory)) {
  // Overwritten, not only unlinked, is what is deleted; and on the disk, not only written, what is stored. The log
  // stays short, so that a disk that is full of it still has room to delete.
  database_.run(
      "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA "
      "wal_autocheckpoint = 64;"
      "PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
      "CREATE TABLE IF NOT EXISTS conversations ("
      "  id TEXT PRIMARY KEY, title TEXT NOT NULL, settings TEXT NOT NULL, leaf INTEGER,"
      "  created INTEGER NOT NULL, updated INTEGER NOT NULL);"
      "CREATE TABLE IF NOT EXISTS messages ("
      "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
      "  conversation TEXT NOT NULL REFERENCES conversations(id) ON DELETE CASCADE, parent INTEGER,"
      "  role TEXT NOT NULL, content TEXT NOT NULL, extra TEXT NOT NULL, created INTEGER NOT NULL);"
      "CREATE INDEX IF NOT EXISTS messages_of ON messages(conversation);");
  database_.define("holds", holds);
  // One that was killed may have left what had been deleted.
  unerased_ = true;
  erase_later();
}

ConversationStore::~ConversationStore() {
  try {
    if (unerased_) forget();
  } catch (const DatabaseError&) {  // the next start tries again
  }
}

OrderedJson ConversationStore::list(const std::string& search) {
  const std::lock_guard lock(mutex_);
  Statement rows(database_,
                 "SELECT id, title, created, updated FROM conversations c WHERE ?1 = '' OR holds(title, ?1) "
                 "OR EXISTS (SELECT 1 FROM messages WHERE conversation = c.id AND holds(content, ?1)) "
                 "ORDER BY updated DESC, rowid DESC");
  rows.bind(folded(search));
  OrderedJson all = OrderedJson::array();
  while (rows.next())
    all.push_back(
        {{"id", rows.text(0)}, {"title", rows.text(1)}, {"created", rows.integer(2)}, {"updated", rows.integer(3)}});
  return all;
}

std::string ConversationStore::insert(const OrderedJson& fields) {
  const std::string id = fresh_conversation_id();
  Statement row(database_, "INSERT INTO conversations VALUES (?, ?, ?, NULL, ?, ?)");
  row.bind(id).bind(text_field(fields, "title")).bind(object_field(fields, "settings")).bind(now()).bind(now()).run();
  return id;
}

OrderedJson ConversationStore::create(const OrderedJson& fields) {
  const std::lock_guard lock(mutex_);
  require_room();
  OrderedJson made = *head(insert(fields));
  erase_later();
  return made;
}

std::optional<OrderedJson> ConversationStore::head(const std::string& id) {
  Statement row(database_, "SELECT title, settings, leaf, created, updated FROM conversations WHERE id = ?");
  row.bind(id);
  if (!row.next()) return {};
  return OrderedJson{{"id", id},
                     {"title", row.text(0)},
                     {"settings", OrderedJson::parse(row.text(1))},
                     {"leaf", row.null(2) ? OrderedJson() : OrderedJson(row.integer(2))},
                     {"created", row.integer(3)},
                     {"updated", row.integer(4)}};
}

std::optional<OrderedJson> ConversationStore::change(const std::string& id, const OrderedJson& fields) {
  const std::lock_guard lock(mutex_);
  Database::Transaction transaction(database_);
  if (!head(id)) return {};
  if (fields.contains("title"))
    Statement(database_, "UPDATE conversations SET title = ? WHERE id = ?")
        .bind(text_field(fields, "title"))
        .bind(id)
        .run();
  if (fields.contains("settings"))
    Statement(database_, "UPDATE conversations SET settings = ? WHERE id = ?")
        .bind(object_field(fields, "settings"))
        .bind(id)
        .run();
  if (const std::optional<int64_t> leaf = id_field(fields, "leaf")) {
    Statement mine(database_, "SELECT 1 FROM messages WHERE id = ? AND conversation = ?");
    if (!mine.bind(*leaf).bind(id).next()) throw Error("leaf", "is no message of this conversation");
    Statement(database_, "UPDATE conversations SET leaf = ? WHERE id = ?").bind(*leaf).bind(id).run();
  }
  transaction.commit();
  erase_later();
  return head(id);
}

OrderedJson ConversationStore::messages(const std::string& id) {
  Statement rows(database_,
                 "SELECT id, parent, role, content, extra, created FROM messages WHERE conversation = ? ORDER BY id");
  rows.bind(id);
  OrderedJson all = OrderedJson::array();
  while (rows.next())
    all.push_back({{"id", rows.integer(0)},
                   {"parent", rows.null(1) ? OrderedJson() : OrderedJson(rows.integer(1))},
                   {"role", rows.text(2)},
                   {"content", rows.text(3)},
                   {"extra", OrderedJson::parse(rows.text(4))},
                   {"created", rows.integer(5)}});
  return all;
}

std::optional<OrderedJson> ConversationStore::read(const std::string& id) {
  const std::lock_guard lock(mutex_);
  std::optional<OrderedJson> conversation = head(id);
  if (conversation) (*conversation)["messages"] = messages(id);
  return conversation;
}

std::optional<int64_t> ConversationStore::insert_message(const std::string& id, const OrderedJson& message,
                                                         std::optional<int64_t> parent) {
  const std::string role = text_field(message, "role");
  if (role.empty()) throw Error("role", "is missing");
  Statement row(database_,
                "INSERT INTO messages(conversation, parent, role, content, extra, created) VALUES (?, ?, ?, ?, ?, ?) "
                "RETURNING id");
  row.bind(id).bind(parent).bind(role).bind(text_field(message, "content")).bind(object_field(message, "extra"));
  row.bind(id_field(message, "created").value_or(now()));
  row.next();
  const int64_t number = row.integer(0);
  row.next();
  return number;
}

std::optional<OrderedJson> ConversationStore::add(const std::string& id, const OrderedJson& message) {
  const std::lock_guard lock(mutex_);
  require_room();
  Database::Transaction transaction(database_);
  if (!head(id)) return {};
  const std::optional<int64_t> parent = id_field(message, "parent");
  if (parent) {
    Statement mine(database_, "SELECT 1 FROM messages WHERE id = ? AND conversation = ?");
    if (!mine.bind(*parent).bind(id).next()) throw Error("parent", "is no message of this conversation");
  }
  const std::optional<int64_t> number = insert_message(id, message, parent);
  Statement(database_, "UPDATE conversations SET leaf = ?, updated = ? WHERE id = ?")
      .bind(number)
      .bind(now())
      .bind(id)
      .run();
  transaction.commit();
  erase_later();
  OrderedJson stored = message;
  stored["id"] = *number;
  return stored;
}

// The write-ahead log still holds pages as they were: it is emptied; and free pages leave the file.
void ConversationStore::forget() {
  unerased_ = true;
  try {
    database_.run("PRAGMA incremental_vacuum");
    unerased_ = !database_.empty_log(erasing_patience);
  } catch (const DatabaseError& error) {
    if (!error.disk_is_full) throw;  // else it is deleted all the same
  }
}

// What another program's reading held back at the time; without waiting for it.
void ConversationStore::erase_later() {
  try {
    if (unerased_) unerased_ = !database_.empty_log(std::chrono::milliseconds(0));
  } catch (const DatabaseError&) {  // what was stored is stored; the next write tries again
  }
}

void ConversationStore::require_room() const {
  std::error_code unknown;
  const fs::space_info space = fs::space(directory_, unknown);
  if (!unknown && space.available < reserve)
    throw DatabaseError(directory_.string(), "the disk is full",
                        "free some space on the disk, or delete conversations");
}

// The reserve is short of a long conversation, whose messages go one by one then: each makes room for the next.
int64_t ConversationStore::remove_rows(const std::string& id) {
  const auto row = [&] { return Statement(database_, "DELETE FROM conversations WHERE id = ?").bind(id).run(); };
  try {
    return row();
  } catch (const DatabaseError& error) {
    if (!error.disk_is_full) throw;
  }
  try {
    do forget();
    while (Statement(database_, "DELETE FROM messages WHERE id = (SELECT max(id) FROM messages WHERE conversation = ?)")
               .bind(id)
               .run() > 0);
    return row();
  } catch (const DatabaseError& error) {
    if (!error.disk_is_full) throw;
    throw DatabaseError(error.where(), "the disk is full, and deleting needs some room before it frees any",
                        "free some space on the disk, then delete again");
  }
}

ConversationStore::Removed ConversationStore::remove(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const bool there = remove_rows(id) > 0;
  if (there) forget();
  return {.there = there, .erased = !unerased_};
}

ConversationStore::Removed ConversationStore::remove_all() {
  const std::lock_guard lock(mutex_);
  try {
    database_.run("DELETE FROM conversations");
  } catch (const DatabaseError& error) {
    if (!error.disk_is_full) throw;
    for (const std::string& id : ids()) remove_rows(id);
  }
  forget();
  return {.there = true, .erased = !unerased_};
}

std::vector<std::string> ConversationStore::ids() {
  std::vector<std::string> all;
  for (Statement rows(database_, "SELECT id FROM conversations ORDER BY created, rowid"); rows.next();)
    all.push_back(rows.text(0));
  return all;
}

OrderedJson ConversationStore::export_all() {
  const std::lock_guard lock(mutex_);
  OrderedJson all = OrderedJson::array();
  for (const std::string& id : ids()) {
    all.push_back(*head(id));
    all.back()["messages"] = messages(id);
  }
  return {{"format", export_format}, {"conversations", std::move(all)}};
}

int64_t ConversationStore::import_all(const OrderedJson& document) {
  if (!document.is_object() || document.value("format", OrderedJson()) != export_format ||
      !document.value("conversations", OrderedJson()).is_array())
    throw Error("import", "this is no export of conversations", "give what the export gave");
  const std::lock_guard lock(mutex_);
  require_room();
  Database::Transaction transaction(database_);
  size_t count = 0;
  for (const OrderedJson& conversation : document["conversations"]) {
    const OrderedJson list = conversation.is_object() ? conversation.value("messages", OrderedJson()) : OrderedJson();
    if (!list.is_array()) throw Error("import", "a conversation lacks its messages");
    const std::string id = insert(conversation);
    // Parents stand before their children.
    std::map<int64_t, int64_t> renamed;
    std::optional<int64_t> leaf;
    for (const OrderedJson& message : list) {
      if (!message.is_object() || ++count > most_imported)
        throw Error("import", "has a message that is none, or too many");
      std::optional<int64_t> parent = id_field(message, "parent");
      if (parent) {
        const auto known = renamed.find(*parent);
        if (known == renamed.end()) throw Error("import", "has a message whose parent does not stand before it");
        parent = known->second;
      }
      const std::optional<int64_t> old = id_field(message, "id");
      const std::optional<int64_t> number = insert_message(id, message, parent);
      if (old) renamed[*old] = *number;
      leaf = number;
    }
    if (const auto old = id_field(conversation, "leaf"); old && renamed.count(*old) > 0) leaf = renamed[*old];
    Statement(database_, "UPDATE conversations SET leaf = ?, created = ?, updated = ? WHERE id = ?")
        .bind(leaf)
        .bind(id_field(conversation, "created").value_or(now()))
        .bind(id_field(conversation, "updated").value_or(now()))
        .bind(id)
        .run();
  }
  transaction.commit();
  erase_later();
  return std::ssize(document["conversations"]);
}

}  // namespace qkv
