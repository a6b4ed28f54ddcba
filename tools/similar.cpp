// qkv similar MODEL: how near texts are in meaning.
#include "qkv/tasks/embed.h"
#include "tools/support/checks.h"
#include "tools/support/embedding_options.h"

#include <fmt/format.h>

#include <algorithm>

namespace qkv {
namespace {

struct SimilarCommand : EmbeddingCommand {
  std::vector<std::string> texts;
  std::string query;
  int64_t top_k = 10;
};

using Vector = std::vector<float>;

void compare_all(const SimilarCommand& options, const Embedder& embedder) {
  if (options.texts.size() < 2)
    throw Error("similar", "compares two texts or more",
                "give them all, or --query TEXT --input FILE to search, or --input FILE with a text and a pair a line");
  std::vector<Row> rows;
  for (const std::string& text : options.texts) rows.push_back(embedder.row(text));
  const std::vector<Vector> vectors = embedder.embed(rows);
  Json matrix = Json::array();
  for (const Vector& a : vectors) {
    Json line = Json::array();
    for (const Vector& b : vectors) line.push_back(cosine(a, b));
    matrix.push_back(line);
  }
  if (options.json) {
    fmt::print("{}\n", Json{{"texts", options.texts}, {"similarities", matrix}}.dump());
    return;
  }
  for (size_t i = 0; i < vectors.size(); ++i) {
    for (size_t j = 0; j < vectors.size(); ++j) fmt::print("{:8.4f}", matrix[i][j].get<double>());
    fmt::print("  {}\n", options.texts[i]);
  }
}

using Pair = std::pair<Row, Row>;

void compare_pairs(TaskRun& run, const Embedder& embedder) {
  run({}, TaskJob<Pair, double>{
              .prepare =
                  [&](const Json& fields) {
                    return Pair{embedder.row(field_of(fields, "text")), embedder.row(field_of(fields, "pair"))};
                  },
              .run =
                  [&](std::span<const Pair> pairs) {
                    std::vector<Row> rows;
                    for (const auto& [a, b] : pairs) rows.insert(rows.end(), {a, b});
                    const std::vector<Vector> vectors = embedder.embed(rows);
                    std::vector<double> similarities;
                    for (size_t i = 0; i < vectors.size(); i += 2)
                      similarities.push_back(cosine(vectors[i], vectors[i + 1]));
                    return similarities;
                  },
              .fields =
                  [](const Pair&, double similarity) {
                    return Json{{"similarity", similarity}};
                  }});
}

struct Hit {
  double similarity;
  int64_t line;
  Json fields;
};

// The inputs nearest to the query, best first.
void search(TaskRun& run, const SimilarCommand& options, const Embedder& embedder) {
  const Row query = embedder.row(options.query);
  const Vector wanted = embedder.embed(std::span(&query, 1))[0];
  std::vector<Hit> hits;
  const auto better = [](const Hit& a, const Hit& b) {
    return a.similarity != b.similarity ? a.similarity > b.similarity : a.line < b.line;
  };
  run.each(TaskJob<Row, Vector>{.prepare = [&](const Json& fields) { return embedder.row(field_of(fields, "text")); },
                                .run = [&](std::span<const Row> rows) { return embedder.embed(rows); }},
           [&](const Record& record, const Vector& vector) {
             hits.push_back({cosine(wanted, vector), record.line, record.fields});
             std::push_heap(hits.begin(), hits.end(), better);
             if (std::ssize(hits) <= options.top_k) return;
             std::pop_heap(hits.begin(), hits.end(), better);
             hits.pop_back();
           });
  std::sort(hits.begin(), hits.end(), better);
  for (const Hit& hit : hits) {
    Json line = hit.fields;
    line.update({{"similarity", hit.similarity}, {"line", hit.line}});
    if (options.json) {
      fmt::print("{}\n", line.dump());
    } else {
      fmt::print("{:8.4f}  {:>6}  {}\n", hit.similarity, hit.line, field_of(hit.fields, "text"));
    }
  }
}

void run_similar(CLI::App& command, SimilarCommand& options) {
  TaskRun run(command, options, "comparing");
  if (!options.query.empty()) {
    if (options.input.empty()) throw Error("--query", "searches the lines of a file", "name it: --input FILE");
    if (!options.output.empty()) throw Error("--output", "is not for --query: its results go to standard output");
  }
  const Embedder embedder = options.embedder(run.options());
  if (!options.query.empty()) {
    search(run, options, embedder);
  } else if (!options.input.empty()) {
    compare_pairs(run, embedder);
  } else {
    compare_all(options, embedder);
  }
}

}  // namespace

void add_similar(CLI::App& app) {
  auto o = std::make_shared<SimilarCommand>();
  CLI::App* command = add_task_command(app, "similar", "tell how near texts are in meaning, or find the nearest", *o,
                                       R"({"text": ..., "pair": ...}, or with --query text lines)");
  command->add_option("texts", o->texts, "two texts or more, each to be compared with all");
  command->add_option("--query", o->query, "find the inputs nearest to this text")->type_name("TEXT");
  command->add_option("-k,--top-k", o->top_k, "--query: the best so many")->capture_default_str()->check(at_least(1));
  add_embedding_options(*command, *o);
  command->footer(
      "Similarity is the cosine of the angle between the texts' vectors.\n\nExamples:\n"
      "  qkv similar models/minilm \"A man is eating.\" \"Somebody has lunch.\" \"The sky is blue.\"\n"
      "  qkv similar models/minilm --query \"food\" --input lines.txt --top-k 3\n"
      "  qkv similar models/minilm --input pairs.csv --output similarities.jsonl");
  command->callback([command, o] { run_similar(*command, *o); });
}

}  // namespace qkv
