#include "tools/support/records.h"

#include "qkv/text/unicode.h"

#include <algorithm>
#include <iostream>
#include <iterator>

namespace qkv {
namespace {

bool blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

}  // namespace

RecordReader::RecordReader(const std::string& path, std::string format, const std::vector<std::string>& fields)
    : name_(path == "-" ? "standard input" : path) {
  if (path == "-") {
    standard_input_.assign(std::istreambuf_iterator<char>(std::cin), {});
    rest_ = standard_input_;
  } else {
    file_ = MappedFile(path);
    rest_ = file_.text();
  }
  if (rest_.starts_with("\xef\xbb\xbf")) rest_.remove_prefix(3);
  if (format.empty()) format = fs::path(path).extension().string();
  if (format.starts_with(".")) format.erase(0, 1);
  const size_t first = rest_.find_first_not_of(" \t\r\n");
  if (format == "jsonl" || format == "ndjson" ||
      (path == "-" && format.empty() && first != std::string_view::npos && rest_[first] == '{'))
    format_ = Format::json_lines;
  if (format == "csv" || format == "tsv") {
    format_ = Format::table;
    separator_ = format == "csv" ? ',' : '\t';
  }
  if (format == "json")
    throw Error(name_, "is one JSON document, not lines of it", "write one object a line, and end the name in .jsonl");
  for (const std::string& field : fields) {
    const size_t equals = field.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == field.size())
      throw Error("--field", fmt::format("'{}' is not of the form NAME=COLUMN", field), "--field text=sentence");
    renamed_.emplace_back(field.substr(0, equals), field.substr(equals + 1));
  }
  if (format_ == Format::table) {
    const auto header = take();
    if (!header) throw Error(name_, "is empty", "the first line of a table names its columns");
    require_utf8(*header, fmt::format("{}:{}", name_, at_));
    columns_ = cells(*header, fmt::format("{}:{}", name_, at_));
  }
  const std::string_view all = rest_;
  const int64_t line = line_;
  while (take()) ++total_;
  if (total_ == 0) throw Error(name_, "holds no inputs", "give a file with one input a line");
  rest_ = all;
  line_ = line;
}

// The next record's text. In a table, line ends between quotes belong to it.
std::optional<std::string_view> RecordReader::take() {
  while (!rest_.empty()) {
    at_ = line_;
    size_t end = 0;
    bool quoted = false;
    if (format_ != Format::table) {
      end = std::min(rest_.find('\n'), rest_.size());
      ++line_;
    } else {
      for (; end < rest_.size() && (quoted || rest_[end] != '\n'); ++end) {
        if (rest_[end] == '"') quoted = !quoted;
        if (rest_[end] == '\n') ++line_;
      }
      ++line_;
    }
    std::string_view raw = rest_.substr(0, end);
    rest_.remove_prefix(std::min(rest_.size(), end + 1));
    if (raw.ends_with('\r')) raw.remove_suffix(1);
    if (!blank(raw)) return raw;
  }
  return std::nullopt;
}

// Cells as RFC 4180 has them: "a ""quoted"" cell", or plain ones.
std::vector<std::string> RecordReader::cells(std::string_view raw, const std::string& where) const {
  std::vector<std::string> out(1);
  bool quoted = false;
  for (size_t i = 0; i < raw.size(); ++i) {
    const char c = raw[i];
    if (quoted && c == '"' && i + 1 < raw.size() && raw[i + 1] == '"') {
      out.back() += raw[++i];
    } else if (c == '"' && (quoted || out.back().empty())) {
      quoted = !quoted;
    } else if (!quoted && c == separator_) {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  if (quoted) throw Error(where, "a quote is opened and not closed", "write \" inside a quoted cell as \"\"");
  return out;
}

void RecordReader::parse(std::string_view raw, Record& record) {
  require_utf8(raw, record.where);
  if (format_ == Format::lines) {
    record.fields = {{"text", raw}};
  } else if (format_ == Format::json_lines) {
    record.fields = parse_json(raw, record.where);
    if (!record.fields.is_object())
      throw Error(record.where, "is not a JSON object", R"(each line should be like {"text": "..."})");
  } else {
    const std::vector<std::string> values = cells(raw, record.where);
    if (values.size() != columns_.size())
      throw Error(record.where,
                  fmt::format("has {} cells, and the first line names {} columns", values.size(), columns_.size()),
                  "put quotes around cells with separators in them");
    for (size_t i = 0; i < values.size(); ++i) record.fields[columns_[i]] = values[i];
  }
  for (const auto& [ours, theirs] : renamed_) {
    const auto found = record.fields.find(theirs);
    if (found == record.fields.end()) {
      std::vector<std::string> names;
      for (const auto& [key, value] : record.fields.items()) names.push_back(key);
      const std::string near = nearest(theirs, names);
      throw Error(record.where, fmt::format("has no field \"{}\"", theirs),
                  near.empty() ? "check the name after --field" : fmt::format("did you mean \"{}\"?", near));
    }
    const Json value = *found;
    record.fields[ours] = value;
  }
}

std::optional<Record> RecordReader::next() {
  const auto raw = take();
  if (!raw) return std::nullopt;
  Record record{.line = at_, .where = fmt::format("{}:{}", name_, at_)};
  try {
    parse(*raw, record);
  } catch (const Error& error) {
    record.problem = error;
  }
  return record;
}

void RecordReader::skip(int64_t records) {
  for (int64_t i = 0; i < records; ++i)
    if (!take())
      throw Error(name_, fmt::format("has fewer inputs than the {} that are done", records),
                  "resume with the file that the run was begun with");
}

std::optional<std::string> field_if(const Json& record, const char* name) {
  const auto found = record.find(name);
  if (found == record.end() || found->is_null()) return std::nullopt;
  if (!found->is_string()) throw Error(name, "is not a string");
  return found->get<std::string>();
}

std::string field_of(const Json& record, const char* name) {
  if (auto text = field_if(record, name)) return *std::move(text);
  std::string names;
  for (const auto& [key, value] : record.items())
    if (value.is_string()) names += (names.empty() ? "\"" : ", \"") + key + "\"";
  throw Error(name, "is missing",
              names.empty() ? "each input needs it"
                            : fmt::format("--field {}=NAME reads another field; this input has {}", name, names));
}

}  // namespace qkv
