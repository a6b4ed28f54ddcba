#include "qkv/text/moses.h"

#include <string>
#include <utility>
#include <vector>

namespace qkv {
namespace {

using Steps = std::vector<std::pair<std::string, std::string>>;  // a pattern and what stands in its place

// Quotes, dashes and spaces in one form.
Steps punctuation_steps() {
  return {{R"(\r)", ""},
          {R"(\()", " ("},
          {R"(\))", ") "},
          {R"( +)", " "},
          {R"((?<=\)) (?=[.!:?;,]))", ""},
          {R"((?<=\() | (?=\)))", ""},
          {R"((?<=\p{Nd}) (?=%)| (?=[:;]))", ""},
          {R"(`)", "'"},
          {R"('')", " \" "},
          {R"([„“”])", "\""},
          {R"(–)", "-"},
          {R"(—)", " - "},
          {R"( +)", " "},
          {R"([´‘’‚])", "'"},
          {R"('')", "\""},
          {R"(…)", "..."},
          {R"(\x{A0}?«\x{A0}?|\x{A0}?»\x{A0}?)", "\""},
          {R"(\x{A0}(?=[%:?!;]))", ""},
          {R"((?<=nº)\x{A0}|\x{A0}(?=ºC|cm)|(?<=,)\x{A0})", " "},
          {R"( +)", " "},
          // A quotation's end goes behind the comma or period: first it is put there, then taken from before.
          {R"("[,.]+\K)", "\""},
          {R"("(?=[,.]+"))", ""},
          {R"((?<=\p{Nd})\x{A0}(?=\p{Nd}))", "."}};
}

// Abbreviations whose period stays; and those with which it does before a number.
constexpr const char* abbreviations =
    "[A-Z]|Adm|Asst|Bros|Capt|Col|Corp|Cpl|Dr|Drs|Gen|Gov|Hon|Lt|Maj|Messrs|Mr|Mrs|Ms|Prof|Rep|Rev|Sen|Sgt|Sr|St|Supt|"
    "vs|v|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Oct|Nov|Dec|Nos|Nr";
constexpr const char* before_numbers = "No|Art|pp";

// Words apart. Chinese, Japanese and Korean characters are no letters to Moses: each is a word.
Steps words() {
  const std::string letter = R"((?:(?![\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}])[\p{L}\p{M}]))";
  const std::string other = R"((?:[^\p{L}\p{M}\p{Nd}\s.'`,\-]|[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]))";
  const std::string alnum = R"((?:(?![\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}])[\p{L}\p{M}\p{Nd}]))";
  return {
      {R"(\s+)", " "},
      {R"([\x{0}-\x{1F}])", ""},
      {R"(^\s+|\s+$)", ""},
      {"(?=" + other + ")", " "},
      {"(?<=" + other + ")", " "},
      {"(?<=" + alnum + ")-(?=" + alnum + ")", " @-@ "},
      {R"((?<!\.)(?=\.\.)|(?<=\.\.)(?!\.))", " "},
      {R"((?<=[^\p{N}]),|,(?!\p{N}))", " , "},
      {R"((?<=[^\p{L}\p{M}])'(?=[^\p{L}\p{M}]))", " ' "},
      {R"((?<=[^\p{L}\p{M}\p{N}])'(?=[\p{L}\p{M}]))", " ' "},
      {R"((?<=[\p{L}\p{M}])'(?=[^\p{L}\p{M}]))", " ' "},
      // Of two apostrophes around one letter, the first begins a word ("rock 'n'roll").
      {R"((?<=[\p{L}\p{M}])(?<![\p{L}\p{M}]'[\p{L}\p{M}])'(?=[\p{L}\p{M}]))", " '"},
      {R"((?<=\p{N})'(?=s))", " '"},
      // A period at a word's end, unless the word has another ("U.S."), is an abbreviation or the next begins small.
      {R"((?<!\S)(?!\.+(?:\s|$))(?!(?=\S*)" + letter + R"()\S*\.\S*\.(?:\s|$))(?!(?:)" + abbreviations +
           R"()\.(?:\s|$))(?!(?:)" + before_numbers + R"()\.\s+[0-9])\S+\K\.(?=\s|$)(?!\s+\p{Ll}))",
       " ."},
      {R"(\s+)", " "},
      {R"(\.' ?$)", " . ' "},
      {R"((?<=\p{Nd}),(?=\p{Nd}))", " @,@ "},
      {R"((?<=\p{Nd})\.(?=\p{Nd}))", " @.@ "}};
}

}  // namespace

Json moses_normalizers() {
  Json list = Json::array();
  for (const Steps& steps : {punctuation_steps(), words()})
    for (const auto& [pattern, content] : steps)
      list.push_back({{"type", "Replace"}, {"pattern", {{"Regex", pattern}}}, {"content", content}});
  return list;
}

}  // namespace qkv
