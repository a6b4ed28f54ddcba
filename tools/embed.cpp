// qkv embed MODEL: texts as vectors.
#include "qkv/tasks/embed.h"
#include "tools/support/embedding_options.h"
#include "tools/support/npy.h"
#include "tools/support/task_run.h"

#include <fmt/format.h>

namespace qkv {
namespace {

struct EmbedCommand : EmbeddingCommand {
  std::string text;
};

using Vector = std::vector<float>;

void run_embed(CLI::App& command, EmbedCommand& options) {
  TaskRun run(command, options, "embedding");
  const Embedder embedder = options.embedder(run.options());
  TaskJob<Row, Vector> job{
      .prepare = [&](const Json& fields) { return embedder.row(field_of(fields, "text")); },
      .run = [&](std::span<const Row> rows) { return embedder.embed(rows); },
      .fields =
          [](const Row&, const Vector& vector) {
            return Json{{"embedding", vector}};
          },
      .print = [](const Json&, const Row&, const Vector& vector) { fmt::print("{}\n", Json(vector).dump()); }};
  if (options.output.ends_with(".npy")) {
    job.header = [&](int64_t rows) { return npy_header(rows, embedder.width()); };
    job.binary = [](std::string& out, const Vector& vector) {
      out.append(reinterpret_cast<const char*>(vector.data()), vector.size() * sizeof(float));
    };
  }
  run({{"text", options.text}}, job);
}

}  // namespace

void add_embed(CLI::App& app) {
  auto o = std::make_shared<EmbedCommand>();
  CLI::App* command = add_task_command(app, "embed", "turn texts into vectors that are near where meanings are", *o,
                                       R"(text lines, {"text": ...})");
  command->add_option("text", o->text, "the text");
  add_embedding_options(*command, *o);
  command->footer(
      "An --output that ends in .npy is a NumPy array, float32, one row an input.\n\nExamples:\n"
      "  qkv embed models/minilm \"A man is eating.\"\n"
      "  qkv embed models/minilm --input lines.txt --output vectors.npy");
  command->callback([command, o] { run_embed(*command, *o); });
}

}  // namespace qkv
