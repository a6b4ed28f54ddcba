// Classifiers through GGUF files: BERT's pooler and the head behind it, and the names of the classes.
#include "qkv/core/notice.h"
#include "qkv/io/convert_gguf.h"
#include "qkv/io/gguf_model.h"
#include "tests/io/gguf_models.h"

namespace qkv {
namespace {

// GGUF knows BERT's usual activation alone.
fs::path bert_with_head(const fs::path& folder, const std::string& name, Json changes = Json::object()) {
  changes["hidden_act"] = "gelu";
  return golden_with(folder, name, changes);
}

TEST(GgufHeads, AClassifierThereAndBack) {
  const Folder folder;
  const Json names = {{"id2label", {{"0", "no"}, {"1", "perhaps"}, {"2", "yes"}}}};
  for (const auto& [name, changes] :
       {std::pair("bert_sequence_classification", names), std::pair("bert_sequence_multilabel", Json::object()),
        std::pair("bert_sequence_regression", Json::object())}) {
    SCOPED_TRACE(name);
    const fs::path model = bert_with_head(folder.path, name, changes);
    const LoadedModel loaded = load_model(model);
    const std::vector<float> want = logits_of(*loaded.model);
    const fs::path file = folder.path / (std::string(name) + ".gguf");
    convert_to_gguf(model, file, {.mix = "f32"});
    const fs::path back = folder.path / (std::string(name) + "-back");
    convert_from_gguf(file, back, {});
    for (const fs::path& same : {file, back}) {
      const LoadedModel again = load_model(same);
      EXPECT_EQ(again.model->spec().task, Task::sequence_classification);
      EXPECT_EQ(again.model->spec().heads.problem, loaded.model->spec().heads.problem);
      EXPECT_EQ(again.config.json()["id2label"], loaded.config.json()["id2label"]);
      EXPECT_EQ(again.config.text("problem_type", ""), loaded.config.text("problem_type", ""));
      expect_near(logits_of(*again.model), want, 1e-5);
    }
    expect_near(logits_of(*load_model(file, {.in_place = true}).model), want, 1e-5);
  }
}

// What is left out is said, in one line for each file; what is kept is not spoken of.
TEST(GgufHeads, OthersAreLeftOutAloud) {
  const Folder folder;
  const std::pair<const char*, std::string> cases[] = {
      {"bert_question_answering", "the head for question answering is left out (heads.classifier)"},
      {"bert_token_classification", "the head for token classification is left out (heads.classifier)"},
      {"bert_multiple_choice", "the head for multiple choice is left out (heads.classifier)"},
      {"bert_pretraining", "heads.next_sentence"},
      {"bert_sequence_classification", ""}};
  for (const auto& [name, says] : cases) {
    SCOPED_TRACE(name);
    const fs::path file = folder.path / (std::string(name) + ".gguf");
    std::vector<std::string> heard;
    handle_notices([&](const std::string& where, const std::string& what) {
      EXPECT_EQ(where, file.string());
      heard.push_back(what);
    });
    convert_to_gguf(bert_with_head(folder.path, name), file, {.mix = "f32"});
    handle_notices({});
    ASSERT_EQ(heard.size(), says.empty() ? 0U : 1U);
    if (!says.empty()) EXPECT_NE(heard[0].find(says), std::string::npos) << heard[0];
  }
}

TEST(GgufHeads, AreWhatLlamaCppReads) {
  const Folder folder;
  const fs::path model = bert_with_head(folder.path, "bert_sequence_classification");
  const fs::path file = folder.path / "classifier.gguf";
  convert_to_gguf(model, file, {.mix = "f32"});
  const Gguf read(file);
  const int64_t D = load_model(model).model->spec().width();
  EXPECT_EQ(read.shape("cls.weight"), (Shape{D, D}));
  EXPECT_EQ(read.shape("cls.bias"), (Shape{D}));
  EXPECT_EQ(read.shape("cls.output.weight"), (Shape{3, D}));
  EXPECT_EQ(read.shape("cls.output.bias"), (Shape{3}));
  EXPECT_EQ(read.metadata().at("bert.pooling_type").value, 4);
  EXPECT_EQ(read.metadata().at("bert.classifier.output_labels").list.item, GgufType::string);
}

TEST(GgufHeads, InBlocksSayNearlyTheSame) {
  const Folder folder;
  const fs::path model = bert_with_head(folder.path, "bert_sequence_classification");
  const std::vector<float> want = logits_of(*load_model(model).model);
  const fs::path file = folder.path / "classifier.gguf";
  convert_to_gguf(model, file, {.mix = "q8_0"});
  EXPECT_EQ(Gguf(file).dtype("cls.weight"), DType::q8_0);
  const std::vector<float> got = logits_of(*load_model(file, {.in_place = true}).model);
  expect_near(got, want, 0.05);
  expect_near(got, logits_of(*load_model(file).model), 1e-4);
}

TEST(GgufHeads, OthersLeaveTheBodyAndItsPooler) {
  const Folder folder;
  for (const auto& [name, pooled] :
       {std::pair("bert_token_classification", false), std::pair("bert_question_answering", false),
        std::pair("bert_multiple_choice", true), std::pair("bert_pretraining", true)}) {
    SCOPED_TRACE(name);
    const fs::path model = bert_with_head(folder.path, name);
    const fs::path file = folder.path / (std::string(name) + ".gguf");
    convert_to_gguf(model, file, {.mix = "f32"});
    EXPECT_EQ(Gguf(file).contains("cls.weight"), pooled);
    EXPECT_FALSE(Gguf(file).contains("cls.output.weight"));
    EXPECT_EQ(Gguf(file).metadata().at("bert.pooling_type").value, 0);
    const LoadedModel body = load_model(file);
    EXPECT_EQ(body.model->spec().task, Task::features);
    EXPECT_EQ(body.model->spec().heads.pooler, pooled);
    expect_near(outputs_of(*body.model), outputs_of(*load_model(model).model), 1e-5);
  }
}

TEST(GgufHeads, DamagedOnesAreRefused) {
  const Folder folder;
  const fs::path model = bert_with_head(folder.path, "bert_sequence_classification");
  const fs::path file = folder.path / "good.gguf";
  convert_to_gguf(model, file, {.mix = "f32"});
  const Gguf good(file);
  const char* labels = "bert.classifier.output_labels";
  const auto refusal = [&](const GgufMetadata& changes, const std::string& without = "") {
    GgufMetadata metadata = good.metadata();
    for (const auto& [key, value] : changes) metadata[key] = value;
    std::vector<NamedTensor> tensors;
    for (const std::string& name : good.names())
      if (without.empty() || !name.starts_with(without)) tensors.push_back({name, good.get(name)});
    const fs::path bad = folder.path / "bad.gguf";
    write_gguf(bad, metadata, lazily(tensors));
    try {
      load_model(bad);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(refusal({}), "");
  EXPECT_NE(refusal({{labels, GgufValue::of_array(GgufType::string, {"one"})}}).find("classes"), std::string::npos);
  const std::string latin = refusal({{labels, GgufValue::of_array(GgufType::string, {"oui", "non", "peut-\xEAtre"})}});
  EXPECT_NE(latin.find(labels), std::string::npos) << latin;
  EXPECT_NE(latin.find("not valid UTF-8"), std::string::npos) << latin;
  EXPECT_NE(refusal({{labels, GgufValue::of_array(GgufType::u32, {1, 2, 3})}}).find("classes"), std::string::npos);
  EXPECT_NE(refusal({{labels, GgufValue::of_u32(3)}}).find("classes"), std::string::npos);
  EXPECT_NE(refusal({{"bert.classifier.problem_type", GgufValue::of_string("guess")}}).find("problem_type"),
            std::string::npos);
  // Made without the pooler, a classifier would say something else.
  EXPECT_NE(refusal({}, "cls.weight").find("cls.weight"), std::string::npos);
  EXPECT_NE(refusal({}, "cls.output.bias").find("cls.output.bias"), std::string::npos);
}

TEST(GgufHeads, AModelsNameIsText) {
  const Folder folder;
  const fs::path model = bert_with_head(folder.path, "bert_sequence_classification");
  const fs::path latin = folder.path / "caf\xE9";
  fs::rename(model, latin);
  const fs::path file = folder.path / "named.gguf";
  convert_to_gguf(latin, file, {.mix = "f32"});
  EXPECT_EQ(Gguf(file).metadata().at("general.name").value, "caf\xEF\xBF\xBD");
}

TEST(GgufHeads, ClassesWithoutNamesGetNumbers) {
  const Folder folder;
  const fs::path file = folder.path / "unnamed.gguf";
  const LoadedModel loaded = load_model(bert_with_head(folder.path, "bert_sequence_classification"));
  SaveGguf how;
  how.type = [](const std::string&, const Shape&) { return DType::f32; };
  save_gguf_model(file, *loaded.model, how);
  EXPECT_EQ(load_model(file).config.json()["id2label"], (Json{{"0", "LABEL_0"}, {"1", "LABEL_1"}, {"2", "LABEL_2"}}));
}

}  // namespace
}  // namespace qkv
