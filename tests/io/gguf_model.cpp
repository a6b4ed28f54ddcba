// Models through GGUF files: what is written is read as the same model, by every architecture and in blocks.
#include "qkv/core/error.h"
#include "qkv/io/convert_gguf.h"
#include "qkv/io/gguf_architectures.h"
#include "qkv/io/gguf_ends.h"
#include "qkv/io/gguf_model.h"
#include "qkv/io/gguf_tokenizer.h"
#include "qkv/io/model_source.h"
#include "tests/io/gguf_models.h"

namespace qkv {
namespace {

TEST(GgufModel, EveryArchitectureThereAndBack) {
  const Folder folder;
  for (const char* name :
       {"gpt2", "llama", "llama_v4_config", "llama3_rope", "llama_yarn", "mistral", "qwen2", "qwen3", "phi", "gpt_neox",
        "gpt_neox_sequential", "falcon", "falcon_new_decoder", "bloom", "bert_pretraining"}) {
    SCOPED_TRACE(name);
    const LoadedModel loaded = load_model(golden / "models" / name);
    const std::vector<float> want = outputs_of(*loaded.model);
    const fs::path file = folder.path / (std::string(name) + ".gguf");
    convert_to_gguf(golden / "models" / name, file, {.mix = "f32"});
    expect_near(outputs_of(*load_model(file).model), want, 1e-5);
    expect_near(outputs_of(*load_model(file, {.in_place = true}).model), want, 1e-5);
    const fs::path back = folder.path / (std::string(name) + "-back");
    convert_from_gguf(file, back, {});
    expect_near(outputs_of(*load_model(back).model), want, 1e-5);
  }
}

TEST(GgufModel, WhatGgufCannotSayIsRefused) {
  const Folder folder;
  for (const char* name : {"gpt2_scaled", "falcon_alibi", "t5_v10", "mamba", "gemma2"}) {
    SCOPED_TRACE(name);
    const fs::path file = folder.path / "refused.gguf";
    EXPECT_THROW(convert_to_gguf(golden / "models" / name, file, {.mix = "f32"}), Error);
    EXPECT_FALSE(fs::exists(file));
  }
}

TEST(GgufModel, StretchedPositionsThereAndBack) {
  const Folder folder;
  const std::pair<const char*, Json> cases[] = {
      {"llama_yarn", {{"attention_factor", 1.7}}},
      {"llama_yarn", {{"mscale", 0.7}, {"mscale_all_dim", 1.3}}},
      {"llama_yarn", {{"beta_fast", 3}, {"beta_slow", 0.3}, {"rope_theta", 50000.5}}},
      {"llama_yarn", {{"truncate", false}}},  // which comes to the same where it changes no frequency
      {"llama_yarn", {{"rope_type", "linear"}, {"factor", 2.5}}},
      {"llama3_rope", {{"low_freq_factor", 0.9}}}};
  for (const auto& [name, changes] : cases) {
    SCOPED_TRACE(changes.dump());
    const fs::path source = golden_with(folder.path, name, {{"rope_parameters", changes}});
    const std::vector<float> want = outputs_of(*load_model(source).model);
    const fs::path file = folder.path / "stretched.gguf";
    const fs::path back = folder.path / "back";
    convert_to_gguf(source, file, {.mix = "f32", .importance = {}, .overwrite = true, .progress = {}});
    fs::remove_all(back);
    convert_from_gguf(file, back, {});
    for (const fs::path& same : {file, back}) expect_near(outputs_of(*load_model(same).model), want, 1e-5);
  }
}

// llama.cpp's word for YaRN's factor is what it multiplies 0.1 ln(factor) + 1 by.
TEST(GgufModel, YarnIsSaidInLlamaCppsWords) {
  const Folder folder;
  const double usual = 0.1 * std::log(4) + 1;
  const auto said = [&](const Json& changes, const char* key) -> double {
    const fs::path source = golden_with(folder.path, "llama_yarn", {{"rope_parameters", changes}});
    const fs::path file = folder.path / "yarn.gguf";
    convert_to_gguf(source, file, {.mix = "f32", .importance = {}, .overwrite = true, .progress = {}});
    const Gguf read(file);
    const auto found = read.metadata().find(std::string("llama.rope.scaling.") + key);
    return found == read.metadata().end() ? 0 : found->second.value.get<double>();
  };
  EXPECT_NEAR(said({{"attention_factor", 1.7}}, "attn_factor"), 1.7 / usual, 1e-6);
  EXPECT_NEAR(said({{"mscale", 1}, {"mscale_all_dim", 1}}, "attn_factor"), 1 / usual, 1e-6);
  EXPECT_EQ(said({{"beta_fast", 16}}, "yarn_beta_fast"), 16);
  EXPECT_EQ(said({{"beta_slow", 2}}, "yarn_beta_slow"), 2);
  EXPECT_EQ(said(Json::object(), "original_context_length"), 16);
  for (const char* key : {"attn_factor", "yarn_beta_fast", "yarn_beta_slow"})
    EXPECT_EQ(said(Json::object(), key), 0) << key;
}

// What every file says unless it says otherwise.
TEST(GgufModel, StretchingIsReadAsLlamaCppReadsIt) {
  const Folder folder;
  const fs::path file = folder.path / "plain.gguf";
  convert_to_gguf(golden / "models/llama", file, {.mix = "f32"});
  const Gguf plain(file);
  std::vector<NamedTensor> tensors;
  for (const std::string& name : plain.names()) tensors.push_back({name, plain.get(name)});
  const auto rotary = [&](const GgufMetadata& more) {
    GgufMetadata metadata = plain.metadata();
    for (const auto& [key, value] : more) metadata["llama.rope." + key] = value;
    const fs::path changed = folder.path / "changed.gguf";
    write_gguf(changed, metadata, lazily(tensors));
    return *load_model(changed).model->spec().stack.block.attention.rotary;
  };
  for (const char* key : {"scaling.factor", "scale_linear"}) {
    EXPECT_EQ(rotary({{key, GgufValue::of_f32(4)}}).scaling, RotarySpec::Scaling::linear);
    EXPECT_EQ(rotary({{key, GgufValue::of_f32(4)}}).factor, 4);
    EXPECT_EQ(rotary({{key, GgufValue::of_f32(1)}}).scaling, RotarySpec::Scaling::none);
    EXPECT_EQ(rotary({{key, GgufValue::of_f32(4)}, {"scaling.type", GgufValue::of_string("none")}}).scaling,
              RotarySpec::Scaling::none);
  }
  EXPECT_EQ(rotary({{"scaling.attn_factor", GgufValue::of_f32(1)}}).scaling, RotarySpec::Scaling::none);
  EXPECT_THROW(rotary({{"scaling.attn_factor", GgufValue::of_f32(2)}}), Error);
  for (const double wrong : {0.0, -1.0, static_cast<double>(NAN), static_cast<double>(INFINITY)})
    EXPECT_THROW(rotary({{"scaling.type", GgufValue::of_string("yarn")},
                         {"scaling.factor", GgufValue::of_f32(4)},
                         {"scaling.attn_factor", GgufValue::of_f32(wrong)}}),
                 Error);
}

TEST(GgufModel, MistralKeepsItsWindowAndItsLength) {
  const Folder folder;
  const fs::path file = folder.path / "mistral.gguf";
  convert_to_gguf(golden / "models/mistral", file, {.mix = "f32"});
  const Gguf read(file);
  EXPECT_EQ(read.metadata().at("general.architecture").value, "llama");
  EXPECT_EQ(read.metadata().at("llama.attention.sliding_window").value, 4);
  EXPECT_EQ(read.metadata().at("llama.context_length").value, 64);
  const fs::path back = folder.path / "back";
  convert_from_gguf(file, back, {});
  for (const fs::path& same : {file, back}) {
    const LoadedModel loaded = load_model(same);
    EXPECT_EQ(loaded.model->spec().family, "mistral");
    EXPECT_EQ(loaded.model->spec().stack.layer(1).attention.window, 4);
    EXPECT_EQ(loaded.model->spec().max_positions(), 64);
    EXPECT_EQ(loaded.config.json().at("architectures"), Json({"MistralForCausalLM"}));
    EXPECT_EQ(loaded.config.json().at("eos_token_id"), 2);  // though it has no tokenizer
  }
  // Without a window it is a Llama.
  const fs::path wide = golden_with(folder.path, "mistral", {{"sliding_window", nullptr}});
  convert_to_gguf(wide, folder.path / "wide.gguf", {.mix = "f32"});
  EXPECT_EQ(Gguf(folder.path / "wide.gguf").metadata().count("llama.attention.sliding_window"), 0U);
  EXPECT_EQ(load_model(folder.path / "wide.gguf").model->spec().family, "llama");
}

TEST(GgufModel, KeepsAllEnds) {
  const Folder folder;
  const fs::path model = golden_with(folder.path, "llama", {{"eos_token_id", {9}}});
  write_file(model / "generation_config.json", R"({"eos_token_id": [2, 5, 7, -1, 100000]})");
  const fs::path file = folder.path / "ends.gguf";
  convert_to_gguf(model, file, {.mix = "f32"});
  const Gguf read(file);
  EXPECT_EQ(read.metadata().at("tokenizer.ggml.eos_token_id").value, 2);
  EXPECT_EQ(read.metadata().at("tokenizer.ggml.eot_token_id").value, 5);
  EXPECT_EQ(read.metadata().at("tokenizer.ggml.eom_token_id").value, 7);
  EXPECT_EQ(read_config(file).json().at("eos_token_id"), Json({2, 5, 7}));
  convert_from_gguf(file, folder.path / "back", {});
  EXPECT_EQ(read_config(folder.path / "back").json().at("eos_token_id"), Json({2, 5, 7}));
}

TEST(GgufModel, EndOfAMessageIsKnownByItsName) {
  GgufMetadata metadata{{"tokenizer.ggml.eos_token_id", GgufValue::of_u32(9)}};
  put_ends(metadata, {3, 4, 9}, [](int64_t id) { return std::string(id == 3 ? "<|eom_id|>" : "<|eot_id|>"); });
  EXPECT_EQ(metadata.at("tokenizer.ggml.eot_token_id").value, 4);
  EXPECT_EQ(metadata.at("tokenizer.ggml.eom_token_id").value, 3);
}

TEST(GgufModel, WhatIsRefusedIsNamed) {
  const Folder folder;
  const auto scaling = [](Json changes) { return Json{{"rope_parameters", std::move(changes)}}; };
  const Json windows = {
      {"use_sliding_window", true}, {"sliding_window", 8}, {"max_window_layers", 1}, {"layer_types", nullptr}};
  const std::tuple<const char*, Json, std::vector<std::string>> cases[] = {
      {"llama_yarn", scaling({{"truncate", false}, {"beta_slow", 0.3}}), {"no words", "rope_scaling.truncate", "0"}},
      {"llama_yarn", scaling({{"rope_type", "dynamic"}}), {"dynamic", "llama"}},
      {"qwen2",
       scaling({{"rope_type", "llama3"}, {"factor", 2}, {"original_max_position_embeddings", 16}}),
       {"llama3", "qwen2"}},
      {"qwen2", windows, {"no words", "sliding_window", "layer 1", "8"}},
      {"qwen3", windows, {"no words", "sliding_window", "layer 1", "8"}},
      {"gemma2", Json::object(), {"no words", "attention scale"}}};
  for (const auto& [name, changes, says] : cases) {
    SCOPED_TRACE(name + changes.dump());
    const fs::path file = folder.path / "refused.gguf";
    try {
      convert_to_gguf(golden_with(folder.path, name, changes), file, {.mix = "f32"});
      ADD_FAILURE() << "was written";
    } catch (const Error& error) {
      for (const std::string& part : says)
        EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
    EXPECT_FALSE(fs::exists(file));
  }
  // A window that no text is longer than is none.
  Json wide = windows;
  wide["sliding_window"] = 64;
  convert_to_gguf(golden_with(folder.path, "qwen2", wide), folder.path / "wide.gguf", {.mix = "f32"});
}

TEST(GgufModel, BlocksStayInPlaceAndSayNearlyTheSame) {
  const Folder folder;
  for (const char* type : {"llama", "gpt2", "gemma2", "t5"}) {
    const std::unique_ptr<Model> model = wide_model(type);
    const std::vector<float> want = outputs_of(*model);
    for (const GgufMix& mix : gguf_mixes()) {
      if (type != std::string_view("llama") && mix.name != "q4_k_m" && mix.name != "f32") continue;
      SCOPED_TRACE(std::string(type) + " " + std::string(mix.name));
      const fs::path file = folder.path / "mixed.gguf";
      SaveGguf how;
      how.type = [&](const std::string& name, const Shape& shape) { return mix_type(mix, model->spec(), name, shape); };
      save_gguf_model(file, *model, how);
      const LoadedModel in_place = load_model(file, {.in_place = true});
      int blocks = 0;
      in_place.model->visit([&](const std::string&, Tensor& value, Role) { blocks += is_block(value.dtype()); });
      EXPECT_EQ(blocks > 0, is_block(mix.type));
      const std::vector<float> got = outputs_of(*in_place.model);
      // In blocks or taken out of them: the same numbers.
      expect_near(got, outputs_of(*load_model(file).model), 1e-4);
      // Packed once, or on the way each time: the same products.
      const auto packed = [&](bool stays) {
        return outputs_of(*load_model(file, {.in_place = true, .pack = PackOptions{.in_place = stays}}).model);
      };
      EXPECT_EQ(packed(true), packed(false));
      EXPECT_LE(distance(got, want), is_block(mix.type) ? 0.45 : 0.01);
    }
  }
}

TEST(GgufModel, OnADeviceBlocksAreMultipliedAsTheyLie) {
  const Folder folder;
  const std::unique_ptr<Model> model = wide_model("llama");
  const fs::path file = folder.path / "mixed.gguf";
  SaveGguf how;
  how.type = [&](const std::string& name, const Shape& shape) {
    return mix_type(gguf_mix("q4_k_m"), model->spec(), name, shape);
  };
  save_gguf_model(file, *model, how);
  const LoadedModel loaded = load_model(file, {.in_place = true, .pack = PackOptions{}});
  int in_place = 0, packed = 0;
  loaded.model->visit([&](const std::string&, Tensor& value, Role) {
    in_place += value.rounds_inputs();
    packed += value.packed();
  });
  const bool host = default_device() == Device();
  EXPECT_EQ(packed > 0, host);
  EXPECT_EQ(in_place > 0, !host);
  // What rounding the inputs changes.
  const double rounding = distance(outputs_of(*loaded.model), outputs_of(*load_model(file).model));
  EXPECT_GT(rounding, 0);
  EXPECT_LE(rounding, 0.05);
}

TEST(GgufModel, Q4KMGivesTheTensorsTheTypesThatLlamaCppDoes) {
  Spec spec = wide_model("llama")->spec();
  spec.stack.layers = 16;
  const GgufMix& mix = gguf_mix("q4_k_m");
  const auto type = [&](const std::string& name, Shape shape = {64, 512}) { return mix_type(mix, spec, name, shape); };
  spec.heads.tied = true;
  EXPECT_EQ(type("token_embd.weight"), DType::q6_k);
  spec.heads.tied = false;
  EXPECT_EQ(type("token_embd.weight"), DType::q4_k);
  EXPECT_EQ(type("output.weight"), DType::q6_k);
  std::vector<int> more;
  for (int layer = 0; layer < 16; ++layer)
    if (type(fmt::format("blk.{}.attn_v.weight", layer)) == DType::q6_k) more.push_back(layer);
  EXPECT_EQ(more, (std::vector<int>{0, 1, 4, 7, 10, 13, 14, 15}));
  EXPECT_EQ(type("blk.1.ffn_down.weight"), DType::q6_k);
  EXPECT_EQ(type("blk.2.ffn_down.weight"), DType::q4_k);
  EXPECT_EQ(type("blk.4.attn_qkv.weight"), DType::q6_k);
  EXPECT_EQ(type("blk.2.attn_q.weight", {64, 96}), DType::q5_0);
  EXPECT_EQ(type("blk.2.attn_q.weight", {64, 40}), DType::f16);
  EXPECT_THROW(gguf_mix("q9"), Error);
}

TEST(GgufModel, TokenizersThereAndBack) {
  const Folder folder;
  const std::string plain = "Hello, world! It's 12345 caf\u00e9s\n\n  in the \u4e2d\u6587 text";
  for (const char* name : {"gpt2", "llama", "llama3", "metaspace_bpe", "bert_uncased", "t5"}) {
    SCOPED_TRACE(name);
    // llama.cpp puts a space behind every special token, where "first" does so at the text's beginning alone.
    const std::string text = std::string(name) == "metaspace_bpe" ? plain : plain + " <s> and so on.";
    const Tokenizer before = Tokenizer::load(golden / "tokenizers" / name);
    const fs::path file = folder.path / "tokenizer.gguf";
    write_gguf(file, gguf_tokenizer_metadata(before, before.vocab_size() + 3), {});
    const Tokenizer after = load_tokenizer(file);
    EXPECT_EQ(after.encode_ids(text), before.encode_ids(text));
    EXPECT_EQ(after.decode(before.encode_ids(text)), before.decode(before.encode_ids(text)));
    EXPECT_EQ(after.special().eos, before.special().eos);
    EXPECT_EQ(after.special().bos, before.special().bos);
    after.save(folder.path / "saved");
    EXPECT_EQ(Tokenizer::load(folder.path / "saved").encode_ids(text), before.encode_ids(text));
  }
}

TEST(GgufModel, HostileMetadata) {
  const Folder folder;
  const fs::path file = folder.path / "good.gguf";
  convert_to_gguf(golden / "models/llama", file, {.mix = "f32"});
  const Gguf good(file);
  std::vector<NamedTensor> tensors;
  for (const std::string& name : good.names()) tensors.push_back({name, good.get(name)});
  const auto refusal = [&](const char* key, std::optional<GgufValue> value) {
    GgufMetadata metadata = good.metadata();
    metadata.erase(key);
    if (value) metadata[key] = *value;
    const fs::path bad = folder.path / "bad.gguf";
    write_gguf(bad, metadata, lazily(tensors));
    try {
      load_model(bad, {.in_place = true});
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(refusal("general.architecture", {}).find("architecture"), std::string::npos);
  EXPECT_NE(refusal("general.architecture", GgufValue::of_string("lama")).find("known: llama"), std::string::npos);
  EXPECT_NE(refusal("llama.block_count", {}).find("num_hidden_layers"), std::string::npos);
  EXPECT_NE(refusal("llama.block_count", GgufValue::of_u32(4'000'000'000)), "");
  EXPECT_NE(refusal("llama.block_count", GgufValue::of_u32(60'000)), "");
  EXPECT_NE(refusal("llama.block_count", GgufValue::of_array(GgufType::i32, {1, 2})), "");
  EXPECT_NE(refusal("llama.embedding_length", GgufValue::of_u32(1U << 30)), "");
  EXPECT_NE(refusal("llama.attention.head_count", GgufValue::of_u32(7)), "");
  EXPECT_NE(refusal("llama.attention.head_count", GgufValue::of_u32(0)), "");
  EXPECT_NE(refusal("llama.attention.key_length", GgufValue::of_u32(3)), "");
  EXPECT_NE(refusal("llama.rope.scaling.type", GgufValue::of_string("longrope")), "");
  EXPECT_NE(refusal("llama.attention.sliding_window", GgufValue::of_u32(4'000'000'000)), "");
  std::erase_if(tensors, [](const NamedTensor& one) { return one.name == "blk.0.ffn_down.weight"; });
  EXPECT_NE(refusal("general.name", {}).find("missing"), std::string::npos);
}

TEST(GgufModel, HostileTokenizers) {
  const Folder folder;
  const auto strings = [](Json list) { return GgufValue::of_array(GgufType::string, std::move(list)); };
  const GgufMetadata good = gguf_tokenizer_metadata(Tokenizer::load(golden / "tokenizers/llama"), 1100);
  const auto refusal = [&](const char* key, const std::optional<GgufValue>& value) {
    return tokenizer_refusal(folder.path, good, key, value);
  };
  EXPECT_EQ(refusal("add_space_prefix", {}), "");
  EXPECT_NE(refusal("tokens", {}).find("no tokenizer"), std::string::npos);
  EXPECT_NE(refusal("tokens", GgufValue::of_array(GgufType::u8, {1, 2})).find("list"), std::string::npos);
  EXPECT_NE(refusal("tokens", strings({"a", "a"})), "");
  EXPECT_NE(refusal("tokens", strings({"a", ""})), "");
  EXPECT_NE(refusal("tokens", strings({"a", "\xE9"})).find("not valid UTF-8"), std::string::npos);
  EXPECT_NE(refusal("model", GgufValue::of_string("\xE9")).find("not valid UTF-8"), std::string::npos);
  EXPECT_NE(refusal("token_type", GgufValue::of_array(GgufType::i32, {1})).find("entries"), std::string::npos);
  EXPECT_NE(refusal("scores", {}).find("entries"), std::string::npos);
  const GgufValue scores = changed(good.at("tokenizer.ggml.scores"), [](Json& list) { list[5] = INFINITY; });
  EXPECT_NE(refusal("scores", scores).find("finite"), std::string::npos);
  EXPECT_NE(refusal("model", GgufValue::of_string("rwkv")).find("rwkv"), std::string::npos);
  EXPECT_NE(refusal("model", {}), "");
  EXPECT_NE(refusal("pre", GgufValue::of_string("x")) + refusal("model", GgufValue::of_string("gpt3")), "");
  // Roles that point outside the list are no roles.
  EXPECT_EQ(refusal("bos_token_id", GgufValue::of_u32(4'000'000'000)), "");
}

}  // namespace
}  // namespace qkv
