#include "qkv/models/model.h"

#include "qkv/core/error.h"
#include "qkv/models/global_tokens.h"
#include "qkv/models/initialise.h"
#include "qkv/models/positions.h"
#include "qkv/ops/autograd.h"
#include "qkv/ops/cross_entropy.h"
#include "qkv/ops/embedding.h"
#include "qkv/ops/packed.h"
#include "qkv/ops/shape.h"

#include <algorithm>
#include <cmath>

namespace qkv {
namespace {

// Multiple choice is the same model on B * choices rows.
Tensor flat_rows(const Tensor& x) { return x && x.rank() == 3 ? x.view({x.size(0) * x.size(1), x.size(2)}) : x; }

// What a decoder reads to predict these labels: each token's predecessor.
Tensor moved_right(const Tensor& labels, const Spec& spec) {
  std::vector<int32_t> ids = labels.to_vector<int32_t>();
  const size_t length = static_cast<size_t>(labels.size(1));
  for (size_t row = 0; row + length <= ids.size() && length > 0; row += length) {
    const auto begin = ids.begin() + static_cast<ptrdiff_t>(row);
    const auto end = begin + static_cast<ptrdiff_t>(length);
    int32_t first = static_cast<int32_t>(spec.decoder_start);
    for (auto id = begin; id != end; ++id) {
      if (*id == ignored_target) *id = static_cast<int32_t>(std::max<int64_t>(0, spec.padding_id));
      if (spec.starts_with_last && *id != spec.padding_id) first = *id;
    }
    std::copy_backward(begin, end - 1, end);
    *begin = std::max(0, first);
  }
  return Tensor::from(labels.shape(), ids);
}

}  // namespace

bool Inputs::only_ids_and_labels() const {
  return input_ids && labels && !attention_mask && !token_type_ids && !position_ids && !decoder_input_ids &&
         !decoder_attention_mask && !decoder_position_ids && !document_ids && !document_mask && !global_attention &&
         !hidden_pairs && !targets && !next_sentence && !start_positions && !end_positions;
}

Model::Model(const Spec& spec)
    : spec_(spec),
      embeddings_(spec.vocab, spec.width(), spec.embeddings),
      stack_(spec.stack),
      heads_(spec.vocab, spec.stack.output_width(), spec.heads, embeddings_) {
  if (spec.twin) {
    Spec alone = spec;
    alone.twin = false;
    documents_ = std::make_unique<Model>(alone);
  }
  if (!spec.encoder) return;
  const EncoderSpec& encoder = *spec.encoder;
  encoder_ = Encoder{Embeddings(encoder.vocab, encoder.stack.width, encoder.embeddings), Stack(encoder.stack)};
  if (encoder.shared_tokens) encoder_->embeddings.token = embeddings_.token;
}

void Model::visit(const ParameterVisitor& visitor) {
  embeddings_.visit("embeddings.", visitor);
  stack_.visit("stack.", visitor);
  heads_.visit("heads.", visitor);
  if (documents_)
    documents_->visit(
        [&](const std::string& name, Tensor& value, Role role) { visitor("documents." + name, value, role); });
  if (encoder_) {
    const bool shared = spec_.encoder->shared_tokens;
    encoder_->embeddings.visit("encoder.embeddings.", [&](const std::string& name, Tensor& value, Role role) {
      if (!shared || name != "encoder.embeddings.token") visitor(name, value, role);
    });
    encoder_->stack.visit("encoder.stack.", visitor);
    if (shared) encoder_->embeddings.token = embeddings_.token;
  }
  // A visitor may have replaced the embedding's tensor; a tied head follows it.
  if (heads_.spec.adaptive) heads_.adaptive.shared = embeddings_.adaptive;
  if (heads_.spec.language_model && heads_.spec.tied && !heads_.language_model.weight.packed() &&
      !heads_.language_model.weight.rounds_inputs())
    heads_.language_model.weight = embeddings_.token;
}

int64_t Model::parameter_count() {
  int64_t count = 0;
  visit([&](const std::string&, Tensor& value, Role) { count += value.numel(); });
  return count;
}

void Model::initialise(RandomKey key) {
  const float residual_std =
      spec_.scale_residual_init ? spec_.init_std / std::sqrt(2 * static_cast<float>(spec_.layers())) : spec_.init_std;
  uint64_t index = 0;
  visit([&](const std::string&, Tensor& value, Role role) {
    initialise_parameter(value, role, role == Role::residual_matrix ? residual_std : spec_.init_std,
                         key.child(index++));
  });
}

void Model::require_grad() {
  visit([](const std::string&, Tensor& value, Role role) {
    if (role != Role::fixed) qkv::require_grad(value);
  });
}

void Model::to(Device device) {
  visit([&](const std::string&, Tensor& value, Role role) {
    value = value.to(device);
    if (role == Role::bias && device != Device()) keep_half(value);  // of which each product takes a copy there
  });
  device_ = device;
  if (documents_) documents_->device_ = device;
}

void Model::to_half(DType type) {
  visit([type](const std::string&, Tensor& value, Role role) {
    if (is_matrix(role)) value = cast(value.detach(), type);
  });
}

namespace {

constexpr const char* head_name = "heads.language_model.weight";

// What no rounding of its input should touch: what routes, and the steps of a state space.
bool packable(const std::string& name, const Tensor& parameter, Role role) {
  const bool matrix = role == Role::matrix || role == Role::residual_matrix;
  const bool sensitive = name.find("router") != std::string::npos || name.find(".step.") != std::string::npos ||
                         name.starts_with("heads.adaptive");
  return matrix && !sensitive && parameter.rank() == 2 && !parameter.packed();
}

}  // namespace

bool Model::packs(const std::string& name, const Tensor& parameter, Role role, DType type, const PackOptions& options) {
  return packable(name, parameter, role) && (is_block(type) ? !options.in_place : options.floats || options.int8);
}

void Model::visit_packable(const ParameterVisitor& visitor) {
  // The largest first, while nothing lies beside it yet: what a weight took before is given back when it is packed.
  // And by itself: a tied one is not among the parameters.
  Tensor& head = heads_.language_model.weight;
  if (heads_.spec.language_model && !heads_.spec.adaptive && packable(head_name, head, Role::matrix))
    visitor(head_name, head, Role::matrix);
  visit([&](const std::string& name, Tensor& value, Role role) {
    if (&value != &head && packable(name, value, role)) visitor(name, value, role);
  });
}

void Model::pack(const PackOptions& options, const LateParameters& late) {
  const auto type_of = [&](const std::string& name, const Tensor& weight) {
    const auto found = late.find(name);
    return found == late.end() ? weight.dtype() : found->second.dtype;
  };
  const auto each = [&](const std::function<void(const std::string&, Tensor&)>& body) {
    visit_packable([&](const std::string& name, Tensor& value, Role role) {
      if (packs(name, value, role, type_of(name, value), options)) body(name, value);
    });
  };
  const auto packed_type = [&](DType type) { return is_block(type) || !options.int8 ? type : DType::i8; };
  if (options.in_place)
    visit_packable([](const std::string&, Tensor& value, Role) {
      if (is_block(value.dtype())) value = packed_in_place(value);
    });
  size_t bytes = 0;
  Device device;
  each([&](const std::string& name, Tensor& weight) {
    bytes += packed_bytes(weight, packed_type(type_of(name, weight)));
    device = weight.device();
  });
  if (bytes == 0) return;
  const std::shared_ptr<Storage> memory = Storage::allocate(bytes, device);
  size_t offset = 0, read = 0;
  each([&](const std::string& name, Tensor& weight) {
    const auto found = late.find(name);
    read += found != late.end();
    const Tensor before = found == late.end() ? weight.detach() : found->second.value();
    const DType type = packed_type(before.dtype());
    weight = packed_in(memory, offset, before, type, options.outlier);
    offset += packed_bytes(before, type);
    before.forget();
    // A table that the output layer shares is looked up where that one reads it, in place of a second copy.
    if (name == head_name && heads_.spec.tied && !options.int8 && embeddings_.token.shape() == weight.shape()) {
      embeddings_.token = weight;
      if (encoder_ && spec_.encoder->shared_tokens) encoder_->embeddings.token = embeddings_.token;
    }
  });
  if (read != late.size())
    throw Error("pack", fmt::format("{} parameters were to be read, and {} were", late.size(), read), "",
                Error::Kind::internal);
}

Tensor Model::run(const Embeddings& embeddings, const Stack& stack, const Inputs& inputs, Context& context) const {
  const Tensor ids = flat_rows(inputs.input_ids);
  const int64_t before = context.cache == nullptr ? 0 : context.cache->length();
  const int64_t limit = embeddings.spec.positions - embeddings.spec.position_offset;
  if (limit > 0 && !inputs.position_ids && before + ids.size(1) > limit)
    throw Error("input", fmt::format("{} tokens do not fit the model's {} positions", before + ids.size(1), limit),
                "shorten the text, or train with a longer context");
  context.positions =
      inputs.position_ids ? flat_rows(inputs.position_ids) : usual_positions(embeddings.spec, ids, before);
  context.key_mask = flat_rows(inputs.attention_mask);
  context.global = inputs.global_attention ? flat_rows(inputs.global_attention) : usual_global_tokens(spec_, ids);
  context.streams = {.hidden = inputs.hidden_pairs,
                     .targets = inputs.targets,
                     .segments = {},
                     .padding_sees_itself = spec_.embeddings.query};
  if (stack.spec.block.attention.relative) context.streams.segments = flat_rows(inputs.token_type_ids);
  const Tensor h = stack(embeddings(ids, flat_rows(inputs.token_type_ids), context), context);
  return inputs.targets ? split(h, 1, {ids.size(1), inputs.targets.size(1)})[1] : h;
}

Tensor Model::vocabulary_logits(const Tensor& h, const Context& context) const {
  return cast(heads_.logits(h, context), DType::f32);
}

Tensor Model::hidden(const Inputs& inputs, Context context) {
  if (!encoder_) return run(embeddings_, stack_, inputs, context);
  context = with_memory(inputs, std::move(context));
  return run(embeddings_, stack_, decoder_inputs(inputs, context.cache != nullptr || context.unmasked), context);
}

Context Model::with_memory(const Inputs& inputs, Context context) {
  const bool remembered = context.cache != nullptr && context.cache->memory(0).keys;
  if (!encoder_ || context.memory || remembered) return context;
  context.memory = encode(inputs, context);
  context.memory_mask = inputs.attention_mask;
  return context;
}

Tensor Model::encode(const Inputs& inputs, Context context) {
  constexpr uint64_t encoder_key = 0xE4C0;
  context.cache = nullptr;
  context.part = "encoder.";
  context.key = context.key.child(encoder_key);
  return run(encoder_->embeddings, encoder_->stack, inputs, context);
}

Inputs Model::decoder_inputs(const Inputs& inputs, bool unmasked) const {
  Inputs decoder{.input_ids = inputs.decoder_input_ids,
                 .attention_mask = inputs.decoder_attention_mask,
                 .position_ids = inputs.decoder_position_ids};
  if (!decoder.input_ids) {
    const bool writes = spec_.task == Task::sequence_to_sequence;
    if (writes && !inputs.labels) throw Error("input", "an encoder-decoder needs decoder input or labels");
    decoder.input_ids = moved_right(writes ? inputs.labels : inputs.input_ids, spec_);
  }
  if (spec_.hides_padding && !decoder.attention_mask && !unmasked) {
    std::vector<uint8_t> shown;
    for (const int32_t id : decoder.input_ids.to_vector<int32_t>()) shown.push_back(id == spec_.padding_id ? 0 : 1);
    decoder.attention_mask = Tensor::from(decoder.input_ids.shape(), shown);
  }
  return decoder;
}

Tensor Model::next_logits(const Inputs& given, const Context& context) {
  Inputs inputs = given;
  if (spec_.embeddings.query) {
    const int64_t B = inputs.input_ids.size(0);
    const int32_t next = static_cast<int32_t>(inputs.input_ids.size(1));
    inputs.targets = Tensor::from({B, 1}, std::vector<int32_t>(static_cast<size_t>(B), next));
  }
  const Tensor h = hidden(inputs, context);
  return vocabulary_logits(select(h, 1, h.size(1) - 1), context);
}

std::vector<std::pair<std::string, Tensor>> Model::outputs(const Inputs& inputs, const Context& given) {
  if (spec_.task == Task::retrieval) return vectors(inputs, given);
  const Context context = with_memory(inputs, given);
  std::vector<std::pair<std::string, Tensor>> results = head_outputs(inputs, hidden(inputs, context), context);
  if (encoder_) results.emplace_back("encoder_last_hidden_state", context.memory);
  return results;
}

std::vector<std::pair<std::string, Tensor>> Model::head_outputs(const Inputs& inputs, const Tensor& h,
                                                                const Context& context) const {
  switch (spec_.task) {
    case Task::features: {
      std::vector<std::pair<std::string, Tensor>> results = {{"last_hidden_state", h}};
      if (spec_.heads.pooler) results.emplace_back("pooler_output", pooled(inputs, h, context));
      return results;
    }
    case Task::sequence_to_sequence:
    case Task::causal_lm:
    case Task::masked_lm:
      return {{spec_.heads.logits, heads_.logits(h, context)}};
    case Task::pretraining:
      return {{"prediction_logits", heads_.logits(h, context)},
              {spec_.heads.sentence_logits, heads_.next_sentence(pooled(inputs, h, context))}};
    case Task::question_answering: {
      const Tensor spans = classifier_logits(inputs, h, context);
      return {{"start_logits", select(spans, 2, 0)}, {"end_logits", select(spans, 2, 1)}};
    }
    case Task::replaced_tokens: {
      const Tensor scores = heads_.classified(heads_.transformed(h, context), context);
      return {{"logits", reshape(scores, {scores.size(0), scores.size(1)})}};
    }
    default:
      return {{"logits", classifier_logits(inputs, h, context)}};
  }
}

Tensor Model::row_of(const Inputs& inputs, const Tensor& h) const {
  using Row = HeadsSpec::Row;
  const int64_t T = h.size(1);
  const Row row = spec_.heads.row;
  if (row == Row::first) return select(h, 1, 0);
  const Tensor ids = flat_rows(inputs.input_ids), mask = flat_rows(inputs.attention_mask);
  if (ids.size(1) != T)
    throw Error("input", fmt::format("the decoder reads {} tokens and the source has {}", T, ids.size(1)),
                "leave the decoder's input out: this head reads it at the source's last token");
  const auto stands = [&](int64_t place) {
    const int32_t id = ids.data<int32_t>()[place];
    if (row == Row::last_end) return std::find(spec_.end_ids.begin(), spec_.end_ids.end(), id) != spec_.end_ids.end();
    const bool padding = row == Row::last_unpadded && id == spec_.padding_id;
    return !padding && (!mask || mask.data<uint8_t>()[place] != 0);
  };
  std::vector<int32_t> places;
  for (int64_t b = 0; b < h.size(0); ++b) {
    int64_t t = T - 1;
    while (t > 0 && !stands(b * T + t)) --t;
    if (row == Row::last_end && !stands(b * T + t))
      throw Error("input", fmt::format("row {} has no token that ends a text, and the head reads it there", b),
                  "put the special tokens around the text");
    places.push_back(static_cast<int32_t>(b * T + t));
  }
  return embedding(Tensor::from({h.size(0)}, places), reshape(h, {h.size(0) * T, h.size(2)}), h.dtype());
}

Tensor Model::pooled(const Inputs& inputs, const Tensor& h, const Context& context) const {
  return heads_.pooled(row_of(inputs, h), context);
}

Tensor Model::vector_of(const Inputs& inputs, const Context& context) {
  return heads_.projection(pooled(inputs, hidden(inputs, context), context));
}

std::vector<std::pair<std::string, Tensor>> Model::vectors(const Inputs& inputs, const Context& context) {
  std::vector<std::pair<std::string, Tensor>> results = {{"query_embeddings", vector_of(inputs, context)}};
  if (!inputs.document_ids) return results;
  Context other = context;
  other.key = context.key.child(0xD0C);
  const Inputs document{.input_ids = inputs.document_ids, .attention_mask = inputs.document_mask};
  results.emplace_back("doc_embeddings", (documents_ ? *documents_ : *this).vector_of(document, other));
  return results;
}

Tensor Model::classifier_logits(const Inputs& inputs, const Tensor& h, const Context& context) const {
  const bool of_rows = spec_.task == Task::sequence_classification || spec_.task == Task::multiple_choice;
  const Tensor x = spec_.heads.transform ? heads_.transformed(h, context) : h;
  const Tensor row = of_rows ? row_of(inputs, x) : x;
  const Tensor logits = heads_.classified(spec_.heads.pooler ? heads_.pooled(row, context) : row, context);
  if (spec_.task != Task::multiple_choice) return logits;
  return reshape(logits, {inputs.input_ids.size(0), inputs.input_ids.size(1)});
}

}  // namespace qkv
