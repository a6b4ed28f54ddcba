#include "qkv/text/template/json.h"

#include "qkv/core/error.h"
#include "qkv/text/template/allowance.h"

#include <algorithm>
#include <cmath>

namespace qkv::jinja {
namespace {

constexpr int deepest_json = 64;

class Writer {
 public:
  explicit Writer(const JsonStyle& style) : style_(style) {}

  void write(const Value& value, int depth) {
    if (depth > deepest_json) throw Error("template", "a value nests too deep for JSON");
    Allowance::spend_steps(1);
    Allowance::check_length(out.size());
    if (const List* list = value.list(); list != nullptr && list->row != Value::Row::generator) {
      rows('[', ']', list->items.size(), depth, [&](size_t i) { write(list->items[i], depth + 1); });
    } else if (const Dict* dict = value.dict(); dict != nullptr && dict->kind == Dict::Kind::dict) {
      std::vector<const std::pair<std::string, Value>*> items;
      for (const auto& item : dict->items) items.push_back(&item);
      if (style_.sort_keys)
        std::sort(items.begin(), items.end(), [](const auto* a, const auto* b) { return a->first < b->first; });
      rows('{', '}', items.size(), depth, [&](size_t i) {
        string(items[i]->first);
        out += style_.after_key;
        write(items[i]->second, depth + 1);
      });
    } else if (const std::string* text = value.text()) {
      string(*text);
    } else if (value.boolean()) {
      out += value.truth() ? "true" : "false";
    } else if (value.none()) {
      out += "null";
    } else if (value.is<double>() && !std::isfinite(value.as_number())) {
      out += std::isnan(value.as_number()) ? "NaN" : value.as_number() > 0 ? "Infinity" : "-Infinity";
    } else if (value.number()) {
      out += value.str();
    } else {
      throw Error("template", fmt::format("a value of type {} cannot be JSON", value.type()));
    }
  }

  std::string out;

 private:
  void string(const std::string& text) {
    out += nlohmann::json(text).dump(-1, ' ', style_.ascii, nlohmann::json::error_handler_t::replace);
  }

  void line(int level) {
    if (!style_.indent) return;
    out += '\n';
    for (int i = 0; i < level; ++i) out += *style_.indent;
  }

  template <typename Item>
  void rows(char open, char close, size_t count, int depth, Item&& item) {
    out += open;
    for (size_t i = 0; i < count; ++i) {
      if (i > 0) out += style_.between;
      line(depth + 1);
      item(i);
    }
    if (count > 0) line(depth);
    out += close;
  }

  const JsonStyle& style_;
};

}  // namespace

std::string to_json(const Value& value, const JsonStyle& style) {
  Writer writer(style);
  writer.write(value, 0);
  return std::move(writer.out);
}

Value json_filter(const Value& value, const Arguments& a) {
  JsonStyle style;
  style.ascii = a.get(0, "ensure_ascii", false).truth();
  if (const Value indent = a.get(1, "indent"); indent.string()) {
    if (indent.text()->size() > 64) throw Error("template", "an indent of JSON is too long");
    style.indent = *indent.text();
  } else if (!indent.none()) {
    style.indent = std::string(static_cast<size_t>(std::clamp<int64_t>(indent.as_integer(), 0, 64)), ' ');
  }
  if (style.indent) style.between = std::string(",");
  if (const Value separators = a.get(2, "separators"); !separators.none()) {
    const List* pair = separators.list();
    if (pair == nullptr || pair->items.size() != 2 || !pair->items[0].string() || !pair->items[1].string() ||
        pair->items[0].text()->size() + pair->items[1].text()->size() > 64)
      throw Error("template", "separators of JSON are two short strings");
    style.between = *pair->items[0].text();
    style.after_key = *pair->items[1].text();
  }
  style.sort_keys = a.get(3, "sort_keys", false).truth();
  return to_json(value, style);
}

}  // namespace qkv::jinja
