// SQLite behind a small interface: a file, and statements whose parameters are bound, never pasted in.
#pragma once

#include "qkv/core/error.h"
#include "qkv/core/files.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace qkv {

// What SQLite refuses, naming the file: a full disk, a file that is no database or may not be written, one that another
// program holds locked for more than five seconds.
class DatabaseError : public Error {
 public:
  using Error::Error;
  bool disk_is_full = false;
};

// Not for several threads at once. All functions throw DatabaseError.
class Database {
 public:
  // Creates the file, readable by its owner alone, where there is none.
  explicit Database(const fs::path& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Statements without parameters or results.
  void run(const std::string& sql);

  // NAME(a, b) in SQL: whether two texts are so; false where one is NULL.
  void define(const char* name, bool (*are)(std::string_view a, std::string_view b));

  // Empties the write-ahead log into the file. What another program is reading stays; waits for it at most so long.
  // false: it is reading still.
  bool empty_log(std::chrono::milliseconds patience);

  // All that is done while it lives happens, or, without commit(), nothing of it.
  class Transaction {
   public:
    explicit Transaction(Database& database) : database_(database) { database.run("BEGIN IMMEDIATE"); }
    ~Transaction();
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    void commit();

   private:
    Database& database_;
    bool open_ = true;
  };

 private:
  friend class Statement;
  [[noreturn]] void fail(std::string_view doing) const;
  void wait_at_most(std::chrono::milliseconds time);  // for another program's lock
  std::string name_;
  sqlite3* handle_ = nullptr;
};

class Statement {
 public:
  Statement(Database& database, std::string_view sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Parameters in their order.
  Statement& bind(std::string_view value);
  Statement& bind(int64_t value);
  Statement& bind(std::optional<int64_t> value);

  // The next row is there; false: no more.
  bool next();
  // Runs a statement without rows, and tells how many it changed.
  int64_t run();

  std::string text(int column) const;
  int64_t integer(int column) const;
  bool null(int column) const;

 private:
  Database& database_;
  sqlite3_stmt* handle_ = nullptr;
  int bound_ = 0;
};

}  // namespace qkv
