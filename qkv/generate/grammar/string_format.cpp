#include "qkv/generate/grammar/string_format.h"

namespace qkv {
namespace {

// Days of the long months and the short ones, and of February in any year and in leap years.
const std::string date =
    R"(([1-9]\d{3}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8])))"
    R"(|([1-9]\d(0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)-02-29))";
const std::string time_of_day = R"(([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d))";
const std::string uuid = R"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})";
const std::string part_of_name = R"([A-Za-z0-9_+-]{1,20})", label = R"([A-Za-z0-9]{1,15}(-[A-Za-z0-9]{1,15}){0,2})";
const std::string byte = R"((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d))";

}  // namespace

std::string pattern_of_format(std::string_view name) {
  if (name == "date") return date;
  if (name == "time") return time_of_day;
  if (name == "date-time") return date + "T" + time_of_day;
  if (name == "uuid") return uuid;
  if (name == "email") return part_of_name + "(\\." + part_of_name + "){0,2}@(" + label + "\\.){1,3}[A-Za-z]{2,18}";
  if (name == "ipv4") return byte + "(\\." + byte + "){3}";
  return "";
}

}  // namespace qkv
