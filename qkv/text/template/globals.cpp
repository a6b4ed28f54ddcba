// What every template may call: range, dict, namespace, raise_exception, strftime_now.
#include "qkv/core/error.h"
#include "qkv/text/template/renderer.h"
#include "qkv/text/unicode.h"

namespace qkv::jinja {

void Renderer::add_globals() {
  globals_.set("range", Function([](const Arguments& a) {
                 int64_t begin = 0, end = a.at(0).as_integer(), step = 1;
                 if (a.values.size() > 1) {
                   begin = end;
                   end = a.values[1].as_integer();
                 }
                 if (a.values.size() > 2) step = a.values[2].as_integer();
                 if (step == 0) throw Error("template", "range has a step of zero");
                 std::vector<Value> out;
                 for (int64_t i = begin; step > 0 ? i < end : i > end;) {
                   if (out.size() >= 100'000) throw Error("template", "a range has more than 100000 numbers");
                   out.emplace_back(i);
                   if (__builtin_add_overflow(i, step, &i)) break;
                 }
                 return Value::list(std::move(out));
               }));
  const auto made = [this](const Arguments& a, bool name_space) {
    auto dict = std::make_shared<Dict>();
    dict->kind = name_space ? Dict::Kind::name_space : Dict::Kind::dict;
    for (const Value& value : a.values) {
      if (value.dict() == nullptr) throw Error("template", "dict takes dicts and names");
      for (const auto& [key, item] : value.dict()->items) dict->set(key, item);
    }
    for (const auto& [key, item] : a.named) dict->set(key, item);
    if (!name_space) return Value(dict);
    for (const auto& [key, item] : dict->items)
      if (key.starts_with('_')) throw Error("template", "names in namespaces do not begin with _");
    name_spaces_.push_back(dict);
    return Value(dict);
  };
  globals_.set("dict", Function([made](const Arguments& a) { return made(a, false); }));
  globals_.set("namespace", Function([made](const Arguments& a) { return made(a, true); }));
  globals_.set("raise_exception", Function([](const Arguments& a) -> Value {
                 throw Error("template", a.at(0).str(), "the model's template refuses these messages");
               }));
  globals_.set("strftime_now", Function([this](const Arguments& a) -> Value {
                 const std::string format = a.at(0).str();
                 if (format.size() > 256) throw Error("template", "a format of dates is too long");
                 std::tm parts{};
                 localtime_r(&now_, &parts);
                 char buffer[4096];
                 return lossy_utf8({buffer, std::strftime(buffer, sizeof buffer, format.c_str(), &parts)});
               }));
}

}  // namespace qkv::jinja
