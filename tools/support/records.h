// The inputs of a task, one after the other: JSON lines, plain lines, or a table in CSV or TSV.
#pragma once

#include "qkv/core/error.h"
#include "qkv/core/files.h"
#include "qkv/core/json.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

struct Record {
  int64_t line = 0;              // where it begins, from 1
  std::string where;             // "file:line"
  Json fields = Json::object();  // a plain line is {"text": line}
  std::optional<Error> problem;  // it cannot be read: why
};

class RecordReader {
 public:
  // path "-" is standard input, read whole. `format`: jsonl, txt, csv, tsv, or "" to go by the name's ending (of
  // standard input by its first character). `fields`: "text=sentence" lets the task's field text be read from the
  // field or column sentence. Blank lines are passed over.
  RecordReader(const std::string& path, std::string format, const std::vector<std::string>& fields);

  int64_t total() const { return total_; }  // records in all
  std::optional<Record> next();
  void skip(int64_t records);

 private:
  enum class Format { json_lines, lines, table };
  std::optional<std::string_view> take();
  void parse(std::string_view raw, Record& record);
  std::vector<std::string> cells(std::string_view raw, const std::string& where) const;

  std::string name_;
  MappedFile file_;
  std::string standard_input_;
  Format format_ = Format::lines;
  char separator_ = ',';
  std::vector<std::pair<std::string, std::string>> renamed_;  // the task's field, the file's
  std::vector<std::string> columns_;
  std::string_view rest_;
  int64_t line_ = 1;  // of what is next
  int64_t at_ = 1;    // of what was taken last
  int64_t total_ = 0;
};

// A field that a task reads. Throws Error when it is missing or no string.
std::string field_of(const Json& record, const char* name);
// The same, or nothing when it is missing or null.
std::optional<std::string> field_if(const Json& record, const char* name);

}  // namespace qkv
