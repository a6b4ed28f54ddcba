#include "qkv/core/json.h"

#include "qkv/core/error.h"
#include "qkv/core/files.h"
#include "qkv/core/ordered_json.h"

template class nlohmann::basic_json<>;

namespace qkv {
namespace {

template <typename Json>
Json parse(std::string_view text, std::string_view where, int max_depth) {
  try {
    bool too_deep = false;
    const auto limit_depth = [&](int depth, typename Json::parse_event_t, Json&) {
      if (depth > max_depth) too_deep = true;
      return !too_deep;
    };
    Json value = Json::parse(text, limit_depth);
    if (too_deep) throw Error(where, fmt::format("nests deeper than {} levels", max_depth));
    return value;
  } catch (const typename Json::exception& error) {
    // The library's text starts with "[json.exception.parse_error.101] "; a user needs what follows.
    std::string_view reason = error.what();
    if (const size_t end = reason.find("] "); end != std::string_view::npos) reason.remove_prefix(end + 2);
    throw Error(where, fmt::format("is not valid JSON: {}", reason),
                "check that the file is complete, or fetch it again");
  }
}

}  // namespace

Json parse_json(std::string_view text, std::string_view where, int max_depth) {
  return parse<Json>(text, where, max_depth);
}

OrderedJson parse_ordered_json(std::string_view text, std::string_view where, int max_depth) {
  return parse<OrderedJson>(text, where, max_depth);
}

Json read_json(const std::filesystem::path& path, uint64_t max_bytes) {
  return parse_json(read_file(path, max_bytes), path.string());
}

}  // namespace qkv
