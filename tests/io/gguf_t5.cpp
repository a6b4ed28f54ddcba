// T5's two stacks and its unigram tokenizers in GGUF files.
#include "qkv/core/error.h"
#include "qkv/io/checkpoint.h"
#include "qkv/io/convert_gguf.h"
#include "qkv/io/gguf_model.h"
#include "qkv/io/gguf_tokenizer.h"
#include "qkv/ops/shape.h"
#include "tests/io/gguf_models.h"

namespace qkv {
namespace {

// A golden model as GGUF can say it: its distances go as far as every published T5's.
fs::path t5_directory(const Folder& folder, const std::string& name, const Json& changes = Json::object()) {
  const fs::path directory = folder.path / name;
  fs::copy(golden / "models" / name, directory, fs::copy_options::overwrite_existing | fs::copy_options::recursive);
  Json config = read_json(directory / "config.json");
  config["relative_attention_max_distance"] = 128;
  config.update(changes);
  write_file(directory / "config.json", config.dump());
  return directory;
}

std::vector<float> scores_of(Model& model) {
  if (!model.spec().heads.language_model) return outputs_of(model);
  const NoGrad no_grad;
  const Tensor ids = Tensor::from<int32_t>({2, 5}, {5, 1, 17, 8, 30, 0, 2, 3, 9, 1});
  return model.vocabulary_logits(model.hidden(inputs_for(model, ids), {}), {}).to_vector<float>();
}

SaveGguf in_mix(const Spec& spec, const char* name) {
  SaveGguf how;
  how.type = [&spec, &mix = gguf_mix(name)](const std::string& tensor, const Shape& shape) {
    return mix_type(mix, spec, tensor, shape);
  };
  return how;
}

std::vector<NamedTensor> tensors_of(const Gguf& file) {
  std::vector<NamedTensor> tensors;
  for (const std::string& name : file.names()) tensors.push_back({name, file.get(name)});
  return tensors;
}

TEST(GgufT5, ThereAndBackEveryNumberIsTheSame) {
  const Folder folder;
  for (const char* name : {"t5_v10", "t5_v11", "mt5", "t5_encoder"}) {
    SCOPED_TRACE(name);
    const fs::path source = t5_directory(folder, name);
    const std::vector<float> want = scores_of(*load_model(source).model);
    const fs::path file = folder.path / (std::string(name) + ".gguf"),
                   back = folder.path / (std::string(name) + "-back");
    convert_to_gguf(source, file, {.mix = "f32"});
    EXPECT_EQ(scores_of(*load_model(file).model), want);
    // The same numbers, placed otherwise: a product may be summed in another order.
    expect_near(scores_of(*load_model(file, {.in_place = true}).model), want, 1e-5);
    convert_from_gguf(file, back, {});
    EXPECT_EQ(scores_of(*load_model(back).model), want);
    const Checkpoint before(source), after(back);
    EXPECT_EQ(after.names(), before.names());
    for (const std::string& tensor : before.names())
      EXPECT_EQ(after.get(tensor).to_vector<float>(), before.get(tensor).to_vector<float>()) << tensor;
    // Once more, from the file itself.
    const fs::path again = folder.path / (std::string(name) + "-again.gguf");
    convert_to_gguf(file, again, {.mix = "f32"});
    EXPECT_EQ(scores_of(*load_model(again).model), want);
  }
}

TEST(GgufT5, EveryKindOfHeadAndFeedForward) {
  const Folder folder;
  const fs::path file = folder.path / "kind.gguf";
  for (const char* feed_forward : {"relu", "gated-gelu"})
    for (const bool tied : {true, false})
      for (const bool scaled : {true, false}) {
        SCOPED_TRACE(fmt::format("{} tied {} scaled {}", feed_forward, tied, scaled));
        // More layers in the decoder than in the encoder.
        const auto model = wide_model("t5", {{"feed_forward_proj", feed_forward},
                                             {"tie_word_embeddings", tied},
                                             {"scale_decoder_outputs", scaled},
                                             {"num_layers", 2},
                                             {"num_decoder_layers", 3},
                                             {"decoder_start_token_id", 3}});
        save_gguf_model(file, *model, in_mix(model->spec(), "f32"));
        EXPECT_EQ(Gguf(file).contains("output.weight"), !tied);
        const LoadedModel loaded = load_model(file, {.in_place = true});
        EXPECT_EQ(loaded.model->spec().decoder_start, 3);
        EXPECT_EQ(loaded.model->spec().layers(), 3);
        EXPECT_EQ(loaded.model->spec().encoder->stack.layers, 2);
        expect_near(scores_of(*loaded.model), scores_of(*model), 1e-5);
        if (tied || scaled) continue;
        // In blocks, keys and values of the encoder's output stay matrices of their own.
        save_gguf_model(file, *model, in_mix(model->spec(), "q4_k_m"));
        const LoadedModel blocks = load_model(file, {.in_place = true});
        blocks.model->visit([&](const std::string& name, Tensor& value, Role role) {
          EXPECT_EQ(is_block(value.dtype()), is_matrix(role) && !name.ends_with("distance_bias")) << name;
        });
        expect_near(scores_of(*blocks.model), scores_of(*load_model(file).model), 1e-4);
      }
}

// What llama.cpp's converter writes and we do not: a bias nobody reads, tables of other types, a head that is a copy of
// the embedding; and it says nothing of the logits' scale.
TEST(GgufT5, AsLlamaCppWritesIt) {
  const Folder folder;
  const fs::path file = folder.path / "ours.gguf", theirs = folder.path / "theirs.gguf";
  for (const char* feed_forward : {"relu", "gated-gelu"}) {
    SCOPED_TRACE(feed_forward);
    const bool first = feed_forward == std::string_view("relu");
    const auto model = wide_model("t5", {{"feed_forward_proj", feed_forward}, {"tie_word_embeddings", first}});
    save_gguf_model(file, *model, in_mix(model->spec(), "f32"));
    const Gguf ours(file);
    GgufMetadata metadata = ours.metadata();
    metadata.erase("t5.logit_scale");
    metadata.erase("t5.decoder_block_count");
    metadata.erase("t5.attention.key_length");
    std::vector<NamedTensor> tensors = tensors_of(ours);
    for (NamedTensor& tensor : tensors)
      if (tensor.name.ends_with("attn_rel_b.weight")) tensor.value = cast(tensor.value, DType::f16);
    tensors.push_back({"dec.blk.0.cross_attn_rel_b.weight", Tensor::zeros({32, 8})});
    if (first) tensors.push_back({"output.weight", ours.get("token_embd.weight")});
    write_gguf(theirs, metadata, lazily(tensors));
    expect_near(scores_of(*load_model(theirs).model), scores_of(*model), 1e-2);
    expect_near(scores_of(*load_model(theirs, {.in_place = true}).model), scores_of(*model), 1e-2);
  }
}

TEST(GgufT5, WhatItsFilesCannotSayIsRefused) {
  const Folder folder;
  const std::pair<const char*, Json> cases[] = {
      {"t5_v11", {{"relative_attention_max_distance", 64}}}, {"t5_v11", {{"feed_forward_proj", "gated-silu"}}},
      {"t5_v10", {{"feed_forward_proj", "gelu_new"}}},       {"t5_sequence_classification", Json::object()},
      {"t5_token_classification", Json::object()},           {"t5_question_answering", Json::object()}};
  for (const auto& [name, changes] : cases) {
    SCOPED_TRACE(name + changes.dump());
    const fs::path file = folder.path / "refused.gguf";
    EXPECT_THROW(convert_to_gguf(t5_directory(folder, name, changes), file, {.mix = "f32"}), Error);
    EXPECT_FALSE(fs::exists(file));
  }
}

TEST(GgufT5, HostileMetadata) {
  const Folder folder;
  const fs::path file = folder.path / "good.gguf", bad = folder.path / "bad.gguf";
  convert_to_gguf(t5_directory(folder, "t5_v11"), file, {.mix = "f32"});
  const Gguf good(file);
  std::vector<NamedTensor> tensors = tensors_of(good);
  const auto refusal = [&](const char* key, std::optional<GgufValue> value) {
    GgufMetadata metadata = good.metadata();
    metadata.erase(key);
    if (value) metadata[key] = *value;
    write_gguf(bad, metadata, lazily(tensors));
    try {
      load_model(bad, {.in_place = true});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(refusal("general.name", {}), "");
  for (const char* key : {"t5.block_count", "t5.embedding_length", "t5.feed_forward_length", "t5.attention.head_count",
                          "t5.attention.relative_buckets_count"}) {
    EXPECT_NE(refusal(key, {}).find(key), std::string::npos) << key;
    EXPECT_NE(refusal(key, GgufValue::of_u32(0)).find(key), std::string::npos) << key;
    EXPECT_NE(refusal(key, GgufValue::of_string("12")).find(key), std::string::npos) << key;
    EXPECT_NE(refusal(key, GgufValue::of_array(GgufType::u32, {12})).find(key), std::string::npos) << key;
    EXPECT_NE(refusal(key, GgufValue::of_u32(60'000)), "") << key;
    EXPECT_NE(refusal(key, GgufValue::of_u32(4'000'000'000)), "") << key;
  }
  for (const uint64_t buckets : {2, 7, 9, 16, 300})
    EXPECT_NE(refusal("t5.attention.relative_buckets_count", GgufValue::of_u32(buckets)), "") << buckets;
  EXPECT_NE(refusal("t5.decoder_block_count", GgufValue::of_u32(1)).find("left over"), std::string::npos);
  EXPECT_NE(refusal("t5.decoder_block_count", GgufValue::of_u32(60'000)), "");
  EXPECT_NE(refusal("t5.attention.head_count", GgufValue::of_u32(3)), "");
  EXPECT_NE(refusal("t5.attention.key_length", GgufValue::of_u32(5)), "");
  EXPECT_NE(refusal("t5.decoder_start_token_id", GgufValue::of_u32(101)).find("decoder_start"), std::string::npos);
  EXPECT_NE(refusal("t5.logit_scale", GgufValue::of_f32(0.5)).find("logit_scale"), std::string::npos);
  EXPECT_NE(refusal("t5.logit_scale", GgufValue::of_f32(NAN)).find("logit_scale"), std::string::npos);
  EXPECT_NE(refusal("t5.logit_scale", GgufValue::of_string("1")).find("logit_scale"), std::string::npos);
  EXPECT_NE(refusal("general.architecture", GgufValue::of_string("t5encoder")), "");
  std::erase_if(tensors, [](const NamedTensor& one) { return one.name == "dec.blk.1.cross_attn_k.weight"; });
  EXPECT_NE(refusal("general.name", {}).find("missing"), std::string::npos);
}

TEST(GgufT5, OlderTokenizersAreTheSame) {
  const Folder folder;
  Json json = read_json(golden / "tokenizers/t5/tokenizer.json");
  const Json config = read_json(golden / "tokenizers/t5/tokenizer_config.json");
  const std::string text = "  Two  spaces, and\nlines <extra_id_3> of the \u4e2d\u6587 text.  ";
  const fs::path file = folder.path / "tokenizer.gguf";
  const auto through = [&](const Tokenizer& before) {
    write_gguf(file, gguf_tokenizer_metadata(before, before.vocab_size()), {});
    return load_tokenizer(file);
  };
  // Spaces cut texts into words, as published T5 files have it.
  json["normalizer"] = json["normalizer"]["normalizers"][0];
  json["pre_tokenizer"] = {{"type", "Sequence"},
                           {"pretokenizers",
                            {{{"type", "WhitespaceSplit"}},
                             {{"type", "Metaspace"}, {"replacement", "\u2581"}, {"add_prefix_space", true}}}}};
  const Tokenizer published = Tokenizer::from_json(json, config, "test");
  EXPECT_EQ(through(published).encode_ids(text), published.encode_ids(text));
  EXPECT_TRUE(through(published).is_special(*published.id("<extra_id_3>")));
  // The tokens that T5 adds are the user's in llama.cpp's files, and the same to a text.
  GgufMetadata metadata = gguf_tokenizer_metadata(published, published.vocab_size());
  GgufValue& types = metadata["tokenizer.ggml.token_type"];
  types = changed(types, [](Json& list) {
    for (size_t id = 1000; id < list.size(); ++id) list[id] = 4;
  });
  write_gguf(file, metadata, {});
  EXPECT_EQ(load_tokenizer(file).encode_ids(text), published.encode_ids(text));
  EXPECT_TRUE(load_tokenizer(file).is_special(*published.id("<extra_id_3>")));
  // The end of a text is the template's, also where no configuration names it.
  const Tokenizer nameless = Tokenizer::from_json(json, Json(), "test");
  EXPECT_EQ(through(nameless).encode_ids(text), published.encode_ids(text));
  // Spaces stay as they are, none is added, and no end.
  json["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", "never"}};
  json["decoder"] = json["pre_tokenizer"];
  json["post_processor"] = nullptr;
  for (const bool mapped : {true, false}) {
    if (!mapped) json["normalizer"] = nullptr;
    const Tokenizer plain = Tokenizer::from_json(json, config, "test");
    EXPECT_EQ(through(plain).encode_ids(text), plain.encode_ids(text));
    EXPECT_EQ(through(plain).decode(plain.encode_ids(text)), plain.decode(plain.encode_ids(text)));
  }
  json["normalizer"] = {{"type", "Lowercase"}};
  EXPECT_THROW(through(Tokenizer::from_json(json, config, "test")), Error);
  EXPECT_THROW(through(Tokenizer::load(golden / "tokenizers/unigram")), Error);
  EXPECT_THROW(through(Tokenizer::load(golden / "tokenizers/albert")), Error);
}

TEST(GgufT5, HostileTokenizers) {
  const Folder folder;
  const GgufMetadata good = gguf_tokenizer_metadata(Tokenizer::load(golden / "tokenizers/t5"), 1020);
  const auto refusal = [&](const char* key, const std::optional<GgufValue>& value) {
    return tokenizer_refusal(folder.path, good, key, value, "some text \u00fc");
  };
  const auto types = [](int type) { return GgufValue::of_array(GgufType::i32, Json(std::vector<int>(1020, type))); };
  for (const char* key :
       {"precompiled_charsmap", "add_space_prefix", "remove_extra_whitespaces", "eos_token_id", "pre"})
    EXPECT_EQ(refusal(key, {}), "") << key;
  EXPECT_NE(refusal("tokens", {}).find("no tokenizer"), std::string::npos);
  EXPECT_NE(refusal("scores", {}).find("0 entries for 1020"), std::string::npos);
  EXPECT_NE(refusal("scores", GgufValue::of_array(GgufType::f32, {0.5, -1})).find("2 entries"), std::string::npos);
  EXPECT_NE(refusal("scores", GgufValue::of_string("none")).find("scores"), std::string::npos);
  const GgufValue scores = changed(good.at("tokenizer.ggml.scores"), [](Json& list) { list[5] = -INFINITY; });
  EXPECT_NE(refusal("scores", scores).find("finite"), std::string::npos);
  EXPECT_NE(refusal("token_type", types(1)).find("unknown"), std::string::npos);
  EXPECT_NE(refusal("token_type", types(5)).find("stands for text"), std::string::npos);
  EXPECT_NE(refusal("token_type", types(77)).find("stands for text"), std::string::npos);
  const GgufValue map = good.at("tokenizer.ggml.precompiled_charsmap");
  GgufValue wrong = changed(map, [](Json& list) { list.erase(list.begin(), list.begin() + 1); });
  EXPECT_NE(refusal("precompiled_charsmap", wrong).find("precompiled_charsmap"), std::string::npos);
  wrong = changed(map, [](Json& list) { list.erase(list.begin() + 100, list.end()); });
  EXPECT_NE(refusal("precompiled_charsmap", wrong).find("precompiled_charsmap"), std::string::npos);
  wrong = GgufValue::of_array(GgufType::u8, {1, 2});
  EXPECT_NE(refusal("precompiled_charsmap", wrong).find("precompiled_charsmap"), std::string::npos);
  EXPECT_NE(refusal("precompiled_charsmap", GgufValue::of_string("abc")).find("list of bytes"), std::string::npos);
  EXPECT_NE(refusal("precompiled_charsmap", GgufValue::of_array(GgufType::f32, {1.5})).find("list"), std::string::npos);
  // A map whose insides are anything at all is read without harm.
  wrong = changed(map, [](Json& list) {
    for (size_t i = 4; i < 4000; ++i) list[i] = i * 37 % 256;
  });
  refusal("precompiled_charsmap", wrong);
  // Bytes with signs are the same bytes.
  wrong = map;
  wrong.list.item = GgufType::i8;
  EXPECT_EQ(refusal("precompiled_charsmap", wrong), "");
  EXPECT_EQ(refusal("eos_token_id", GgufValue::of_u32(4'000'000'000)), "");
}

}  // namespace
}  // namespace qkv
