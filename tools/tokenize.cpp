// qkv tokenize DIR: the ids, tokens and offsets of a text.
#include "qkv/core/clock.h"
#include "qkv/core/error.h"
#include "qkv/core/json.h"
#include "qkv/io/model_source.h"
#include "qkv/text/tokenizer.h"
#include "tools/commands.h"

#include <fmt/format.h>

#include <cstdio>
#include <iostream>

namespace qkv {
namespace {

struct TokenizeCommand {
  std::string directory;
  std::string text;
  std::string pair;
  bool no_special = false;
  bool json = false;
  bool json_lines = false;
  bool decode = false;
  bool limits = false;
  int batch = 1;
  std::string bench_file;
  int repeat = 5;
};

Json to_json(const Tokenizer& tokenizer, const Encoding& encoding, bool with_types, const TokenizeCommand& options) {
  Json out = {{"ids", encoding.ids}, {"tokens", encoding.tokens}, {"offsets", encoding.offsets}};
  if (with_types || options.limits) out["type_ids"] = encoding.type_ids;
  if (options.limits) {
    out["attention_mask"] = encoding.attention_mask;
    out["overflowing"] = Json::array();
    for (const Encoding& part : encoding.overflowing)
      out["overflowing"].push_back(to_json(tokenizer, part, with_types, options));
  }
  if (options.decode) {
    out["decoded"] = tokenizer.decode(encoding.ids);
    out["decoded_clean"] = tokenizer.decode(encoding.ids, true);
  }
  return out;
}

EncodeOptions encode_options(const Tokenizer& tokenizer, const TokenizeCommand& options) {
  EncodeOptions encode{.add_special_tokens = !options.no_special};
  if (options.limits) {
    encode.truncation = tokenizer.truncation();
    encode.padding = tokenizer.padding();
  }
  return encode;
}

std::string dump(const Json& json) { return json.dump(-1, ' ', true); }

void print_table(const Encoding& encoding) {
  fmt::print("{:>8}  {:>11}  {}\n", "id", "offsets", "token");
  for (size_t i = 0; i < encoding.ids.size(); ++i)
    fmt::print("{:>8}  {:>5}-{:<5}  {}\n", encoding.ids[i], encoding.offsets[i].first, encoding.offsets[i].second,
               encoding.tokens[i]);
  fmt::print("{} tokens\n", encoding.ids.size());
}

void tokenize_lines(const Tokenizer& tokenizer, const TokenizeCommand& options) {
  const EncodeOptions encode = encode_options(tokenizer, options);
  std::vector<Tokenizer::Text> texts;
  const auto print_batch = [&] {
    const std::vector<Encoding> encodings = tokenizer.encode_together(texts, encode);
    for (size_t i = 0; i < texts.size(); ++i)
      std::cout << dump(to_json(tokenizer, encodings[i], texts[i].second.has_value(), options)) << '\n';
    texts.clear();
  };
  int64_t number = 0;
  for (std::string line; std::getline(std::cin, line);) {
    const std::string where = fmt::format("stdin, line {}", ++number);
    if (line.empty()) continue;
    const Json json = parse_json(line, where);
    const auto text = json.is_object() ? json.find("text") : json.end();
    if (!json.is_object() || text == json.end() || !text->is_string())
      throw Error(where, "expected {\"text\": \"...\"}");
    const Json pair = json.value("pair", Json());
    if (!pair.is_null() && !pair.is_string()) throw Error(where, "'pair' is not a string");
    texts.push_back({text->get<std::string>(), {}});
    if (pair.is_string()) texts.back().second = pair.get<std::string>();
    if (std::ssize(texts) == options.batch) print_batch();
  }
  print_batch();
}

// Encodes the file on this one thread; the first pass, which meets every word for the first time, is apart.
void bench(const TokenizeCommand& options) {
  auto start = Clock::now();
  const Tokenizer tokenizer = load_tokenizer(options.directory);
  const double load_seconds = seconds_since(start);
  const std::string text = read_file(options.bench_file);
  std::vector<double> rates;
  size_t tokens = 0;
  for (int i = 0; i <= options.repeat; ++i) {
    start = Clock::now();
    tokens = tokenizer.encode_ids(text, {.add_special_tokens = false}).size();
    rates.push_back(static_cast<double>(text.size()) / 1e6 / seconds_since(start));
  }
  const double first = rates.front();
  rates.erase(rates.begin());
  std::sort(rates.begin(), rates.end());
  const Json result = {{"bytes", text.size()},
                       {"tokens", tokens},
                       {"load_seconds", load_seconds},
                       {"first_mb_per_s", first},
                       {"median_mb_per_s", rates[rates.size() / 2]},
                       {"best_mb_per_s", rates.back()},
                       {"threads", 1}};
  fmt::print("{}\n", result.dump(2));
}

void run_tokenize(const TokenizeCommand& options) {
  if (!options.bench_file.empty()) return bench(options);
  const Tokenizer tokenizer = load_tokenizer(options.directory);
  if (options.json_lines) return tokenize_lines(tokenizer, options);
  const EncodeOptions encode = encode_options(tokenizer, options);
  const bool paired = !options.pair.empty();
  const Encoding encoding =
      paired ? tokenizer.encode_pair(options.text, options.pair, encode) : tokenizer.encode(options.text, encode);
  if (options.json) {
    fmt::print("{}\n", dump(to_json(tokenizer, encoding, paired, options)));
  } else {
    print_table(encoding);
  }
}

}  // namespace

void add_tokenize(CLI::App& app) {
  CLI::App* command = app.add_subcommand("tokenize", "show the tokens of a text");
  command->group("Text");
  auto options = std::make_shared<TokenizeCommand>();
  command->add_option("tokenizer", options->directory, "a model directory, a tokenizer.json or a vocabulary file")
      ->type_name("DIR")
      ->required();
  command->add_option("text", options->text, "the text");
  command->add_option("--pair", options->pair, "a second text, for models that take two");
  command->add_flag("--no-special", options->no_special, "leave out [CLS], <s> and the like");
  command->add_flag("--json", options->json, "print ids, tokens and offsets as JSON");
  command->add_flag("--jsonl", options->json_lines,
                    R"(read lines {"text": ..., "pair": ...} from standard input, write a line each)");
  command->add_flag("--decode", options->decode, "in JSON, also what the ids decode to");
  command->add_flag("--limits", options->limits, "truncate and pad as tokenizer.json says");
  command->add_option("--batch", options->batch, "--jsonl: pad so many lines together")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  command->add_option("--bench", options->bench_file, "time the encoding of this file on one thread")
      ->type_name("FILE");
  command->add_option("--repeat", options->repeat, "--bench: so many times")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->footer(
      "Offsets count the text's characters.\n\nExamples:\n  qkv tokenize runs/demo \"Hello, world!\"\n  qkv tokenize "
      "models/bert --jsonl < texts.jsonl > tokens.jsonl");
  command->callback([options] { run_tokenize(*options); });
}

}  // namespace qkv
