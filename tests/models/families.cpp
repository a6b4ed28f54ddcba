// What every family must be: a mapping that builds, counts what it says, and is small.
#include "qkv/models/describe.h"
#include "qkv/models/model.h"

#include "qkv/core/error.h"
#include "qkv/core/files.h"

#include <gtest/gtest.h>

namespace qkv {
namespace {

Sizes tiny() { return {.vocab = 37, .context = 16, .layers = 2, .heads = 4, .width = 32}; }

TEST(Families, EachBuildsFromItsOwnConfigAndCountsItsParameters) {
  for (const Family* family : all_families()) {
    SCOPED_TRACE(family->type);
    const Spec spec = spec_of(Config(family->config(tiny()), "test"));
    Model model(spec);
    EXPECT_EQ(model.parameter_count(), describe(spec).parameters);
  }
}

TEST(Families, EveryParameterHasARule) {
  for (const Family* family : all_families()) {
    SCOPED_TRACE(family->type);
    const Spec spec = spec_of(Config(family->config(tiny()), "test"));
    std::vector<std::string> named;
    for (const WeightRule& rule : expanded_weights(*family, spec)) named.push_back(rule.ours);
    Model model(spec);
    model.visit([&](const std::string& name, Tensor&, Role) {
      EXPECT_NE(std::find(named.begin(), named.end(), name), named.end()) << name;
    });
  }
}

TEST(Families, FilesAreShortAndNothingElseComparesArchitectureNames) {
  const fs::path root = fs::path(QKV_SOURCE_DIR) / "qkv";
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) {
    if (entry.path().extension() != ".cpp" && entry.path().extension() != ".h") continue;
    const std::string text = read_file(entry.path());
    const bool family = entry.path().parent_path().filename() == "families";
    if (family) {
      EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 120) << entry.path();
    }
    if (entry.path().string().find("/models/") != std::string::npos) continue;
    for (const Family* f : all_families())
      EXPECT_EQ(text.find("== \"" + std::string(f->type) + "\""), std::string::npos) << entry.path();
  }
}

TEST(Families, TheirPageIsCurrent) {
  // Errors differ by machine: they are taken from the page, and only have to be there.
  const std::string page = read_file(fs::path(QKV_SOURCE_DIR) / "docs/families.md");
  std::map<std::string, std::string> errors;
  for (const Family* family : all_families()) {
    const size_t row = page.find(fmt::format("| `{}` |", family->type));
    ASSERT_NE(row, std::string::npos) << family->type;
    const std::string line = page.substr(row, page.find('\n', row) - row);
    const size_t last = line.rfind(" | ");
    errors[std::string(family->type)] = line.substr(last + 3, line.size() - last - 5);
    EXPECT_LT(std::stod(errors[std::string(family->type)]), 1e-4) << line;
  }
  EXPECT_EQ(page, families_markdown(errors))
      << "run: qkv info --families --markdown --golden tests/golden/models > docs/families.md";
}

TEST(Families, OthersNamesForOneAreKnown) {
  for (const auto& [name, type] :
       {std::pair{"xlm-roberta", "roberta"}, {"camembert", "roberta"}, {"RefinedWeb", "falcon"}})
    EXPECT_EQ(family_named(name, "config.json").type, type);
}

TEST(Families, UnknownTypeNamesTheNearest) {
  try {
    family_named("gpt_2", "config.json");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("did you mean 'gpt2'?"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("llama"), std::string::npos);
  }
}

struct BadConfig {
  const char* name;
  const char* key;
  Json value;
};

TEST(Families, ContradictoryOrAbsurdConfigsAreRefused) {
  const std::vector<BadConfig> cases = {
      {"negative", "n_embd", -8},          {"zero", "n_layer", 0},
      {"huge", "n_embd", 2000000000},      {"text", "n_head", "four"},
      {"fraction", "n_head", 2.5},         {"indivisible", "n_head", 5},
      {"missing", "vocab_size", nullptr},  {"activation", "activation_function", "gulu"},
      {"probability", "resid_pdrop", 1.5}, {"overflow", "vocab_size", 1e30}};
  for (const BadConfig& bad : cases) {
    Json json = family_named("gpt2", "test").config(tiny());
    json[bad.key] = bad.value;
    EXPECT_THROW(spec_of(Config(json, "config.json")), Error) << bad.name;
  }
}

TEST(Families, SpecNeedsNoMemoryForAbsurdSizes) {
  Json json = family_named("gpt2", "test").config(tiny());
  json["n_embd"] = 1 << 20;
  json["n_layer"] = 1 << 20;
  EXPECT_THROW(spec_of(Config(json, "config.json")), Error);
}

}  // namespace
}  // namespace qkv
