#include "qkv/io/gguf_architectures.h"

#include "qkv/core/error.h"
#include "qkv/models/labels_config.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace qkv {
namespace {

using Key = GgufArchitecture::Key;
constexpr auto u32 = GgufType::u32;
constexpr auto f32 = GgufType::f32;

const BlockSpec& block(const Spec& s) { return s.stack.block; }
double number(int64_t value) { return static_cast<double>(value); }

double layers(const Spec& s) { return number(s.layers()); }
double encoder_layers(const Spec& s) { return s.encoder ? number(s.encoder->stack.layers) : layers(s); }
double width(const Spec& s) { return number(s.width()); }
double hidden(const Spec& s) { return number(block(s).feed_forward.width); }
double heads(const Spec& s) { return number(block(s).attention.heads); }
double kv_heads(const Spec& s) { return number(block(s).attention.kv_heads); }
double head_dim(const Spec& s) { return number(block(s).attention.head_dim); }
double eps(const Spec& s) { return block(s).norm.eps; }
double vocab(const Spec& s) { return number(s.vocab); }
double rotary_base(const Spec& s) { return block(s).attention.rotary->base; }
double rotary_dim(const Spec& s) { return number(block(s).attention.rotary->dim); }
double score_cap(const Spec& s) { return block(s).attention.softcap; }
double logit_cap(const Spec& s) { return s.heads.logit_softcap; }
double window(const Spec& s) { return number(s.stack.layer(0).attention.window); }
double logit_scale(const Spec& s) { return s.heads.scale; }
double decoder_start(const Spec& s) { return number(s.decoder_start); }
double buckets(const Spec& s) { return number(block(s).attention.distance_bias->buckets); }
double parallel(const Spec& s) { return block(s).residual == Residual::parallel ? 1 : 0; }
double positions(const Spec& s) { return number(s.max_positions()); }

// What the decoders with gated feed-forwards have in common.
std::vector<Key> gated_keys(std::vector<Key> more = {}) {
  std::vector<Key> keys = {{"context_length", u32, "max_position_embeddings", positions},
                           {"embedding_length", u32, "hidden_size", width},
                           {"block_count", u32, "num_hidden_layers", layers},
                           {"feed_forward_length", u32, "intermediate_size", hidden},
                           {"attention.head_count", u32, "num_attention_heads", heads},
                           {"attention.head_count_kv", u32, "num_key_value_heads", kv_heads},
                           {"attention.key_length", u32, "head_dim", head_dim},
                           {"attention.value_length", u32, nullptr, head_dim},
                           {"attention.layer_norm_rms_epsilon", f32, "rms_norm_eps", eps},
                           {"rope.freq_base", f32, "rope_theta", rotary_base},
                           {"rope.dimension_count", u32, nullptr, rotary_dim},
                           {"vocab_size", u32, nullptr, vocab}};
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

// T5's positions have no end; files of it say how long the texts were that it was trained on.
double trained_positions(const Spec& /*s*/) { return 512; }

std::vector<Key> t5_keys(std::vector<Key> more = {}) {
  std::vector<Key> keys = {{"context_length", u32, "n_positions", trained_positions},
                           {"embedding_length", u32, "d_model", width},
                           {"block_count", u32, "num_layers", encoder_layers},
                           {"feed_forward_length", u32, "d_ff", hidden},
                           {"attention.head_count", u32, "num_heads", heads},
                           {"attention.key_length", u32, "d_kv", head_dim},
                           {"attention.value_length", u32, nullptr, head_dim},
                           {"attention.layer_norm_epsilon", f32, "layer_norm_epsilon", eps},
                           {"attention.layer_norm_rms_epsilon", f32, "layer_norm_epsilon", eps},
                           {"attention.relative_buckets_count", u32, "relative_attention_num_buckets", buckets}};
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

// Where T5 differs from most; what a decoder alone has is not looked for in an encoder.
std::vector<GgufArchitecture::Name> t5_names() {
  return {{"stack.blocks.*.attention.out", {"blk.*.attn_o"}},
          {"stack.blocks.*.cross_norm", {"blk.*.cross_attn_norm"}},
          {"stack.blocks.*.cross.q", {"blk.*.cross_attn_q"}},
          {"stack.blocks.*.cross.kv", {"blk.*.cross_attn_k", "blk.*.cross_attn_v"}},
          {"stack.blocks.*.cross.out", {"blk.*.cross_attn_o"}},
          {"stack.distance_bias", {"blk.0.attn_rel_b"}}};
}

uint64_t metadata_number(const GgufContents& file, const char* key, uint64_t otherwise) {
  const GgufValue* found = file.find(fmt::format("{}.{}", gguf_architecture(file).name, key));
  return found != nullptr && found->value.is_number_unsigned() ? found->value.get<uint64_t>() : otherwise;
}

// The share of a head that turns.
void partial_rotary(Json& config, const GgufContents& file, const char* key) {
  const double dim = number(static_cast<int64_t>(metadata_number(file, "embedding_length", 0))) /
                     std::max(1.0, number(static_cast<int64_t>(metadata_number(file, "attention.head_count", 1))));
  const double turned = number(static_cast<int64_t>(metadata_number(file, "rope.dimension_count", 0)));
  if (turned > 0 && dim > 0) config[key] = turned / dim;
}

void finish_gated(Json& config, const GgufContents& file) {
  config["attention_bias"] = file.contains("blk.0.attn_output.bias");
  config["mlp_bias"] = file.contains("blk.0.ffn_down.bias");
}

// A Llama with a window is a Mistral. llama.cpp's own converter leaves the window out, and all it says is a Llama then.
void finish_llama(Json& config, const GgufContents& file) {
  finish_gated(config, file);
  const uint64_t window_of = metadata_number(file, "attention.sliding_window", 0);
  if (window_of == 0) return;
  config["model_type"] = "mistral";
  config["architectures"] = {"MistralForCausalLM"};
  config["sliding_window"] = window_of;
}

// llama.cpp scales Gemma's scores by the head's size, but those of its 27B by the width over the heads.
void finish_gemma2(Json& config, const GgufContents& file) {
  const uint64_t heads_of = std::max<uint64_t>(1, metadata_number(file, "attention.head_count", 1));
  config["query_pre_attn_scalar"] = metadata_number(file, "block_count", 0) == 46
                                        ? metadata_number(file, "embedding_length", 256) / heads_of
                                        : metadata_number(file, "attention.key_length", 256);
}

void finish_gpt_neox(Json& config, const GgufContents& file) { partial_rotary(config, file, "rotary_pct"); }
void finish_phi(Json& config, const GgufContents& file) {
  partial_rotary(config, file, "partial_rotary_factor");
  if (!config.contains("num_key_value_heads")) config["num_key_value_heads"] = config["num_attention_heads"];
}

void finish_falcon(Json& config, const GgufContents& file) {
  const uint64_t keys = metadata_number(file, "attention.head_count_kv", 1);
  config["new_decoder_architecture"] = file.contains("blk.0.attn_norm_2.weight");
  config["num_kv_heads"] = keys;
  config["multi_query"] = keys == 1;
}

void finish_t5_encoder(Json& config, const GgufContents& file) {
  // The family's configurations may leave these out, and then mean T5's smallest.
  for (const char* key : {"embedding_length", "block_count", "feed_forward_length", "attention.head_count",
                          "attention.relative_buckets_count"})
    if (metadata_number(file, key, 0) == 0)
      throw Error(file.where, fmt::format("does not say its {}.{}", gguf_architecture(file).name, key),
                  "fetch the file again, or convert the model again");
  if (!config.contains("d_kv"))
    config["d_kv"] = metadata_number(file, "embedding_length", 0) / metadata_number(file, "attention.head_count", 1);
  config["feed_forward_proj"] = file.contains("enc.blk.0.ffn_gate.weight") ? "gated-gelu" : "relu";
}

// Whether logits are scaled by the square root of the width, as T5 1.0 does, which ties its head to the embedding.
// llama.cpp never scales, which changes no greedy choice, and has no word for it in T5's files; "logit_scale" is its
// word for it in other models'. Without the word, a file is T5 1.0's by its head or by its feed-forwards.
void finish_t5(Json& config, const GgufContents& file) {
  finish_t5_encoder(config, file);
  const double scaled = 1 / std::sqrt(number(static_cast<int64_t>(metadata_number(file, "embedding_length", 1))));
  bool scales = config["tie_word_embeddings"] == true || config["feed_forward_proj"] == "relu";
  if (const GgufValue* said = file.find("t5.logit_scale"); said != nullptr) {
    const double scale = said->value.is_number() ? said->value.get<double>() : 0;
    scales = std::abs(scale / scaled - 1) < 1e-4;
    if (!scales && scale != 1)
      throw Error(file.where, fmt::format("has a t5.logit_scale of {}", said->value.dump()),
                  fmt::format("T5 models have 1 or {}: use the model's Hugging Face form", scaled));
  }
  config["scale_decoder_outputs"] = scales;
}

// llama.cpp's way to pool a row: it gives each token's vector, or what the head makes of the first.
double bert_pooling(const Spec& s) { return s.task == Task::sequence_classification ? 4 : 0; }

// A pooler and the head of a sequence classifier behind it. llama.cpp has no words for the other heads.
bool holds_of_bert(const Spec& spec, std::string_view head) {
  return head.starts_with("heads.pooler.") ||
         (spec.task == Task::sequence_classification && head.starts_with("heads.classifier."));
}

void finish_bert(Json& config, const GgufContents& file) {
  config["add_pooling_layer"] = file.contains("cls.weight");
  const auto head = file.shapes.find("cls.output.weight");
  if (head == file.shapes.end()) return;
  config["architectures"] = {"BertForSequenceClassification"};
  const int64_t count = head->second[0];
  std::vector<std::string> names = label_names(Config(config, file.where), count);
  if (const GgufValue* said = file.find("bert.classifier.output_labels"); said != nullptr) {
    if (said->type != GgufType::array || said->list.item != GgufType::string ||
        std::cmp_not_equal(said->list.size, count))
      throw Error(file.where, fmt::format("has {} classes, and other bert.classifier.output_labels", count),
                  "fetch the file again, or convert the model again");
    names = said->list.json().get<std::vector<std::string>>();
  }
  for (int64_t i = 0; i < count; ++i) {
    const std::string& name = names[static_cast<size_t>(i)];
    config["id2label"][std::to_string(i)] = name;
    config["label2id"][name] = i;
  }
  if (const GgufValue* type = file.find("bert.classifier.problem_type"); type != nullptr)
    config["problem_type"] = type->value;
}

std::vector<GgufArchitecture> make() {
  std::vector<GgufArchitecture> all;
  all.push_back({.name = "llama",
                 .family = "llama",
                 .model_class = "LlamaForCausalLM",
                 .also = {"mistral"},
                 .keys = gated_keys(),
                 .config = {{"hidden_act", "silu"}},
                 .rotary_pairs = true,
                 .rotary_factors = true,
                 .window_key = true,
                 .finish = finish_llama});
  all.push_back({.name = "qwen2",
                 .family = "qwen2",
                 .model_class = "Qwen2ForCausalLM",
                 .keys = gated_keys(),
                 .config = {{"hidden_act", "silu"}}});
  all.push_back({.name = "qwen3",
                 .family = "qwen3",
                 .model_class = "Qwen3ForCausalLM",
                 .keys = gated_keys(),
                 .config = {{"hidden_act", "silu"}}});
  all.push_back({.name = "gemma2",
                 .family = "gemma2",
                 .model_class = "Gemma2ForCausalLM",
                 .keys = gated_keys({{"attn_logit_softcapping", f32, "attn_logit_softcapping", score_cap},
                                     {"final_logit_softcapping", f32, "final_logit_softcapping", logit_cap},
                                     {"attention.sliding_window", u32, "sliding_window", window}}),
                 .names = {{"stack.blocks.*.attention_norm", {"blk.*.post_attention_norm"}},
                           {"stack.blocks.*.feed_forward_norm", {"blk.*.post_ffw_norm"}}},
                 .config = {{"hidden_activation", "gelu_pytorch_tanh"}},
                 .finish = finish_gemma2});
  all.push_back({.name = "phi2",
                 .family = "phi",
                 .model_class = "PhiForCausalLM",
                 .keys = {{"context_length", u32, "max_position_embeddings", positions},
                          {"embedding_length", u32, "hidden_size", width},
                          {"block_count", u32, "num_hidden_layers", layers},
                          {"feed_forward_length", u32, "intermediate_size", hidden},
                          {"attention.head_count", u32, "num_attention_heads", heads},
                          {"attention.head_count_kv", u32, "num_key_value_heads", kv_heads},
                          {"attention.layer_norm_epsilon", f32, "layer_norm_eps", eps},
                          {"rope.freq_base", f32, "rope_theta", rotary_base},
                          {"rope.dimension_count", u32, nullptr, rotary_dim}},
                 .config = {{"hidden_act", "gelu_new"}},
                 .finish = finish_phi});
  all.push_back({.name = "gpt2",
                 .family = "gpt2",
                 .model_class = "GPT2LMHeadModel",
                 .keys = {{"context_length", u32, "n_positions", positions},
                          {"embedding_length", u32, "n_embd", width},
                          {"block_count", u32, "n_layer", layers},
                          {"feed_forward_length", u32, "n_inner", hidden},
                          {"attention.head_count", u32, "n_head", heads},
                          {"attention.layer_norm_epsilon", f32, "layer_norm_epsilon", eps}},
                 .config = {{"activation_function", "gelu_new"}},
                 .fused = true});
  all.push_back({.name = "gptneox",
                 .family = "gpt_neox",
                 .model_class = "GPTNeoXForCausalLM",
                 .keys = {{"context_length", u32, "max_position_embeddings", positions},
                          {"embedding_length", u32, "hidden_size", width},
                          {"block_count", u32, "num_hidden_layers", layers},
                          {"feed_forward_length", u32, "intermediate_size", hidden},
                          {"attention.head_count", u32, "num_attention_heads", heads},
                          {"attention.layer_norm_epsilon", f32, "layer_norm_eps", eps},
                          {"rope.freq_base", f32, "rotary_emb_base", rotary_base},
                          {"rope.dimension_count", u32, nullptr, rotary_dim},
                          {"use_parallel_residual", GgufType::boolean, "use_parallel_residual", parallel}},
                 .config = {{"hidden_act", "gelu"}},
                 .fused = true,
                 .finish = finish_gpt_neox});
  all.push_back(
      {.name = "falcon",
       .family = "falcon",
       .model_class = "FalconForCausalLM",
       .keys = {{"context_length", u32, "max_position_embeddings", positions},
                {"embedding_length", u32, "hidden_size", width},
                {"block_count", u32, "num_hidden_layers", layers},
                {"feed_forward_length", u32, "ffn_hidden_size", hidden},
                {"attention.head_count", u32, "num_attention_heads", heads},
                {"attention.head_count_kv", u32, nullptr, kv_heads},
                {"attention.layer_norm_epsilon", f32, "layer_norm_epsilon", eps},
                {"rope.freq_base", f32, "rope_theta", rotary_base}},
       .two_norms = {{"stack.blocks.*.norm1", {"blk.*.attn_norm_2"}}, {"stack.blocks.*.norm2", {"blk.*.attn_norm"}}},
       .config = {{"bias", false}, {"parallel_attn", true}, {"activation", "gelu"}, {"alibi", false}},
       .metadata = {{"tensor_data_layout", GgufValue::of_string("jploski")}},
       .fused = true,
       .falcon_mix = true,
       .finish = finish_falcon});
  all.push_back({.name = "bloom",
                 .family = "bloom",
                 .model_class = "BloomForCausalLM",
                 .keys = {{"context_length", u32, "seq_length", positions},
                          {"embedding_length", u32, "hidden_size", width},
                          {"block_count", u32, "n_layer", layers},
                          {"feed_forward_length", u32, nullptr, hidden},
                          {"attention.head_count", u32, "n_head", heads},
                          {"attention.layer_norm_epsilon", f32, "layer_norm_epsilon", eps}},
                 .fused = true});
  all.push_back({.name = "bert",
                 .family = "bert",
                 .model_class = "BertModel",
                 .keys = {{"context_length", u32, "max_position_embeddings", positions},
                          {"embedding_length", u32, "hidden_size", width},
                          {"block_count", u32, "num_hidden_layers", layers},
                          {"feed_forward_length", u32, "intermediate_size", hidden},
                          {"attention.head_count", u32, "num_attention_heads", heads},
                          {"attention.layer_norm_epsilon", f32, "layer_norm_eps", eps},
                          {"pooling_type", u32, nullptr, bert_pooling}},
                 .names = {{"stack.blocks.*.norm1", {"blk.*.attn_output_norm"}},
                           {"stack.blocks.*.norm2", {"blk.*.layer_output_norm"}},
                           {"heads.pooler", {"cls"}},
                           {"heads.classifier", {"cls.output"}}},
                 .config = {{"hidden_act", "gelu"}},
                 .metadata = {{"attention.causal", GgufValue::of_bool(false)}},
                 .holds = holds_of_bert,
                 .finish = finish_bert});
  all.push_back({.name = "t5",
                 .family = "t5",
                 .model_class = "T5ForConditionalGeneration",
                 .also = {"mt5"},
                 .keys = t5_keys({{"decoder_block_count", u32, "num_decoder_layers", layers},
                                  {"decoder_start_token_id", u32, "decoder_start_token_id", decoder_start},
                                  {"logit_scale", f32, nullptr, logit_scale}}),
                 .stacks = {{.theirs = "dec."}, {.theirs = "enc.", .encoder = true}},
                 .names = t5_names(),
                 .unused = {"dec.blk.0.cross_attn_rel_b.weight"},
                 .config = {{"is_encoder_decoder", true}},
                 .finish = finish_t5});
  all.push_back({.name = "t5encoder",
                 .family = "t5",
                 .model_class = "T5EncoderModel",
                 .also = {"mt5"},
                 .keys = t5_keys(),
                 .stacks = {{.theirs = "enc."}},
                 .names = t5_names(),
                 .unused = {"output.weight"},
                 .config = {{"is_encoder_decoder", false}},
                 .finish = finish_t5_encoder});
  return all;
}

std::string known_architectures() {
  std::string known;
  for (const GgufArchitecture& one : gguf_architectures()) known += (known.empty() ? "" : ", ") + std::string(one.name);
  return known;
}

}  // namespace

GgufContents::GgufContents(const Gguf& file) : where(file.where()), metadata(&file.metadata()) {
  std::map<DType, int64_t> numbers;
  int64_t most = 0;
  for (const std::string& name : file.names()) {
    const Shape& shape = shapes.emplace(name, file.shape(name)).first->second;
    if (shape.rank() < 2) continue;
    const int64_t so_far = numbers[file.dtype(name)] += shape.numel();
    if (so_far <= most) continue;
    most = so_far;
    matrices = file.dtype(name);
  }
  if (file.contains(rotary_factors_name)) rotary_factors = file.get(rotary_factors_name);
}

GgufContents::GgufContents(std::string place, const GgufMetadata& said, const std::vector<LazyTensor>& tensors)
    : where(std::move(place)), metadata(&said) {
  for (const LazyTensor& tensor : tensors) {
    shapes.emplace(tensor.name, tensor.shape);
    if (tensor.name == rotary_factors_name) rotary_factors = tensor.value();
  }
}

const GgufValue* GgufContents::find(const std::string& key) const {
  const auto found = metadata->find(key);
  return found == metadata->end() ? nullptr : &found->second;
}

const std::vector<GgufArchitecture>& gguf_architectures() {
  static const std::vector<GgufArchitecture> all = make();
  return all;
}

const GgufArchitecture& gguf_architecture(const GgufContents& file) {
  const GgufValue* found = file.find("general.architecture");
  if (found == nullptr || !found->value.is_string())
    throw Error(file.where, "does not say its general.architecture", "name a file that holds a model");
  const std::string name = found->value.get<std::string>();
  for (const GgufArchitecture& one : gguf_architectures())
    if (one.name == name) return one;
  throw Error(file.where, fmt::format("is of the architecture '{}', which is not known", name.substr(0, 80)),
              "known: " + known_architectures());
}

const StackSpec& stack_of(const Spec& spec, const GgufArchitecture::Stack& stack) {
  return stack.encoder ? spec.encoder->stack : spec.stack;
}

StackSpec& stack_of(Spec& spec, const GgufArchitecture::Stack& stack) {
  return stack.encoder ? spec.encoder->stack : spec.stack;
}

const GgufArchitecture& gguf_architecture_of(const Spec& spec) {
  for (const GgufArchitecture& one : gguf_architectures()) {
    const bool also = std::find(one.also.begin(), one.also.end(), spec.family) != one.also.end();
    const bool has_encoder = std::any_of(one.stacks.begin(), one.stacks.end(), [](const auto& s) { return s.encoder; });
    if ((one.family == spec.family || also) && has_encoder == spec.encoder.has_value()) return one;
  }
  throw Error("gguf", fmt::format("GGUF files of {} models are not known", spec.family),
              "architectures that are: " + known_architectures());
}

}  // namespace qkv
