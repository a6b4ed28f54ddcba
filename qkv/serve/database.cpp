#include "qkv/serve/database.h"

#include <sqlite3.h>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace qkv {
namespace {

constexpr std::chrono::milliseconds usual_patience{5000};
constexpr const char* elsewhere = "choose another place with --data DIR, or none with --data none";

std::string_view text_of(sqlite3_value* value) {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_value_text(value));
  return {bytes == nullptr ? "" : bytes, static_cast<size_t>(sqlite3_value_bytes(value))};
}

using Comparison = bool (*)(std::string_view, std::string_view);

// SQLite is C: nothing may be thrown through it.
void compare(sqlite3_context* context, int, sqlite3_value** values) {
  const auto* are = static_cast<const Comparison*>(sqlite3_user_data(context));
  try {
    const bool known = sqlite3_value_type(values[0]) != SQLITE_NULL && sqlite3_value_type(values[1]) != SQLITE_NULL;
    sqlite3_result_int(context, known && (*are)(text_of(values[0]), text_of(values[1])));
  } catch (const std::exception& error) {
    sqlite3_result_error(context, error.what(), -1);
  }
}

}  // namespace

Database::Database(const fs::path& path) : name_(path.string()) {
  // SQLite would create it readable by everybody.
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) throw DatabaseError(name_, fmt::format("cannot be opened: {}", std::strerror(errno)), elsewhere);
  close(file);
  if (sqlite3_open_v2(path.c_str(), &handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr) != SQLITE_OK) {
    const std::string reason = sqlite3_errmsg(handle_);
    sqlite3_close(handle_);
    throw DatabaseError(name_, fmt::format("cannot be opened: {}", reason), elsewhere);
  }
  wait_at_most(usual_patience);
}

Database::~Database() { sqlite3_close(handle_); }

void Database::fail(std::string_view doing) const {
  const int code = sqlite3_errcode(handle_);
  const char* hint = code == SQLITE_FULL                                  ? "free some space on the disk"
                     : code == SQLITE_NOTADB                              ? "move the file away; a new one is made"
                     : code == SQLITE_BUSY                                ? "end the other program that uses it"
                     : code == SQLITE_READONLY || code == SQLITE_CANTOPEN ? elsewhere
                                                                          : "";
  DatabaseError error(name_, fmt::format("{}: {}", doing, sqlite3_errmsg(handle_)), hint);
  error.disk_is_full = code == SQLITE_FULL;
  throw error;
}

void Database::wait_at_most(std::chrono::milliseconds time) {
  sqlite3_busy_timeout(handle_, static_cast<int>(time.count()));
}

void Database::run(const std::string& sql) {
  if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail("the database refuses");
}

void Database::define(const char* name, bool (*are)(std::string_view, std::string_view)) {
  constexpr int kind = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
  const auto forget = [](void* held) { delete static_cast<Comparison*>(held); };
  if (sqlite3_create_function_v2(handle_, name, 2, kind, new Comparison(are), compare, nullptr, nullptr, forget) !=
      SQLITE_OK)
    fail("the database takes no function");
}

bool Database::empty_log(std::chrono::milliseconds patience) {
  wait_at_most(patience);
  const int code = sqlite3_wal_checkpoint_v2(handle_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  wait_at_most(usual_patience);
  if (code != SQLITE_OK && code != SQLITE_BUSY) fail("the database's log cannot be emptied");
  return code == SQLITE_OK;
}

Database::Transaction::~Transaction() {
  // What cannot be rolled back was not begun, or SQLite has done it itself.
  if (open_) sqlite3_exec(database_.handle_, "ROLLBACK", nullptr, nullptr, nullptr);
}

void Database::Transaction::commit() {
  database_.run("COMMIT");
  open_ = false;
}

Statement::Statement(Database& database, std::string_view sql) : database_(database) {
  if (sqlite3_prepare_v2(database.handle_, sql.data(), static_cast<int>(sql.size()), &handle_, nullptr) != SQLITE_OK)
    database.fail("the database does not understand");
}

Statement::~Statement() { sqlite3_finalize(handle_); }

Statement& Statement::bind(std::string_view value) {
  if (sqlite3_bind_text64(handle_, ++bound_, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8) != SQLITE_OK)
    database_.fail("a text cannot be stored");
  return *this;
}

Statement& Statement::bind(int64_t value) {
  if (sqlite3_bind_int64(handle_, ++bound_, value) != SQLITE_OK) database_.fail("a number cannot be stored");
  return *this;
}

Statement& Statement::bind(std::optional<int64_t> value) {
  if (value) return bind(*value);
  ++bound_;  // parameters are null until they are bound
  return *this;
}

bool Statement::next() {
  switch (sqlite3_step(handle_)) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      database_.fail("the database refuses");
  }
}

int64_t Statement::run() {
  next();
  return sqlite3_changes64(database_.handle_);
}

std::string Statement::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
  return bytes == nullptr ? "" : std::string(bytes, static_cast<size_t>(sqlite3_column_bytes(handle_, column)));
}

int64_t Statement::integer(int column) const { return sqlite3_column_int64(handle_, column); }
bool Statement::null(int column) const { return sqlite3_column_type(handle_, column) == SQLITE_NULL; }

}  // namespace qkv
