// Attention: forwards and backwards, against a cache of another type, and in pages.
#include "bench/case_values.h"

#include <fmt/format.h>

#include <algorithm>

namespace qkv {
namespace {

using namespace kernels;

enum class Bias {
  none,
  heads,      // [heads, queries, keys]
  distances,  // of the distance alone, as T5's
  whole,      // [batch, heads, queries, keys]
  keys,       // [batch, keys]
};

struct AttentionCase {
  int64_t batch, queries, keys, heads, kv_heads, head_dim;
  bool causal;
  int64_t window = 0;
  bool mask = false;
  Bias bias = Bias::none;
  float dropout = 0;
  bool large = false;
  float softcap = 0;
  bool slopes = false;
  int64_t always = 0;
};

// What a call says besides where its tensors lie.
Attention options(const AttentionCase& s, DType type, DType kv_type) {
  return {.batch = s.batch,
          .queries = s.queries,
          .keys = s.keys,
          .heads = s.heads,
          .kv_heads = s.kv_heads,
          .head_dim = s.head_dim,
          .type = type,
          .kv_type = kv_type,
          .scale = 0.3F,
          .causal = s.causal,
          .window = s.window,
          .always = s.always,
          .softcap = s.softcap,
          .dropout = s.dropout,
          .dropout_key = 99};
}

std::string label_of(const AttentionCase& s, DType type) {
  constexpr std::string_view names[] = {"", " bias", " distances", " whole bias", " bias of keys"};
  return fmt::format("b{} t{} s{} h{}/{} d{} {}{}{}{}{}{}{}{}{}", s.batch, s.queries, s.keys, s.heads, s.kv_heads,
                     s.head_dim, name_of(type), s.causal ? " causal" : "", s.window > 0 ? " window" : "",
                     s.mask ? " mask" : "", names[static_cast<size_t>(s.bias)], s.dropout > 0 ? " dropout" : "",
                     s.softcap > 0 ? " softcap" : "", s.slopes ? " slopes" : "",
                     s.always > 0 ? fmt::format(" always {}", s.always) : "");
}

// Where the heads of a dense tensor [batch, time, heads, head_dim] lie.
template <typename H>
H dense(const Tensor& x) {
  const Shape& shape = x.shape();
  return {x.raw(), shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3]};
}

// Where the numbers of a case's bias lie.
struct BiasLayout {
  Shape shape = {0};
  int64_t batch_stride = 0, head_stride = 0, query_stride = 0;
  int64_t origin = 0;
};
BiasLayout layout_of(const AttentionCase& s) {
  const int64_t of_head = s.queries * s.keys, distances = s.queries + s.keys - 1;
  switch (s.bias) {
    case Bias::heads:
      return {{s.heads, s.queries, s.keys}, 0, of_head, s.keys};
    case Bias::distances:
      return {{s.heads, distances}, 0, distances, -1, s.queries - 1};
    case Bias::whole:
      return {{s.batch, s.heads, s.queries, s.keys}, s.heads * of_head, of_head, s.keys};
    case Bias::keys:
      return {{s.batch, s.keys}, s.keys};
    case Bias::none:
      break;
  }
  return {};
}

// Some keys hidden, the first half among them.
Tensor hiding(int64_t batch, int64_t keys) {
  std::vector<uint8_t> mask;
  for (int64_t i = 0; i < batch * keys; ++i) mask.push_back(i % 3 == 1 || i < keys / 2 ? 0 : 1);
  return Tensor::from<uint8_t>({batch, keys}, mask);
}

void attention_case(std::vector<KernelCase>& cases, const AttentionCase& s, DType type) {
  if (s.large && type == DType::f16) return;  // made with the CPU's kernels, which do not take it
  // Queries, keys and values lie side by side, as a fused projection leaves them.
  const int64_t row = (s.heads + 2 * s.kv_heads) * s.head_dim;
  const int64_t time = std::max(s.queries, s.keys);
  const Tensor packed = random({s.batch, time, row}, type, 1),
               dout = random({s.batch, s.queries, s.heads, s.head_dim}, type, 2);
  const BiasLayout layout = layout_of(s);
  const Tensor bias = random(layout.shape, DType::f32, 3, 2), slopes = random({s.heads}, DType::f32, 4);
  const Tensor key_mask = hiding(s.batch, s.keys);
  const auto arguments = [=](const Tensor& out, const Tensor& lse) {
    const auto at = [&](int64_t head) {
      return ConstHeads{static_cast<const char*>(packed.raw()) + head * s.head_dim * size_of(type), time * row, row,
                        s.head_dim};
    };
    Attention a = options(s, type, type);
    a.q = at(0);
    a.k = at(s.heads);
    a.v = at(s.heads + s.kv_heads);
    a.out = dense<Heads>(out);
    a.logsumexp = lse.data<float>();
    a.scale = 0.7F;
    if (s.slopes) a.slopes = slopes.data<float>();
    if (s.mask) a.key_mask = key_mask.data<uint8_t>();
    if (s.bias == Bias::none) return a;
    a.bias = bias.data<float>() + layout.origin;
    a.bias_batch_stride = layout.batch_stride;
    a.bias_head_stride = layout.head_stride;
    a.bias_query_stride = layout.query_stride;
    a.bias_key_stride = 1;
    return a;
  };
  const double visible = s.causal && s.queries == s.keys ? 0.5 : 1;
  const double flops = 4.0 * visible * static_cast<double>(s.batch * s.heads * s.queries * s.keys * s.head_dim);
  cases.push_back(
      {"attention " + label_of(s, type), tolerance_of(type), flops, 0, s.large, [=](const KernelSet& set) {
         const Tensor out = Tensor::empty(dout.shape(), type), lse = Tensor::empty({s.batch, s.heads, s.queries});
         set.attention(arguments(out, lse));
         return std::vector<Tensor>{out, lse};
       }});
  // The forward results come from the reference, so that only the backward pass is compared; large ones are timed on
  // what the set itself computes, once.
  const Tensor out = Tensor::empty(dout.shape(), type), lse = Tensor::empty({s.batch, s.heads, s.queries});
  (s.large ? cpu() : reference()).attention(arguments(out, lse));
  cases.push_back({"attention_backward " + label_of(s, type), tolerance_of(type) * 2, 2.5 * flops, 0, s.large,
                   [=](const KernelSet& set) {
                     const Tensor dq = Tensor::empty(dout.shape(), type),
                                  dk = Tensor::empty({s.batch, s.keys, s.kv_heads, s.head_dim}, type),
                                  dv = Tensor::empty(dk.shape(), type), dbias = Tensor::zeros(bias.shape());
                     AttentionBackward g{.forward = arguments(out, lse),
                                         .dout = dense<ConstHeads>(dout),
                                         .dq = dense<Heads>(dq),
                                         .dk = dense<Heads>(dk),
                                         .dv = dense<Heads>(dv)};
                     if (s.bias != Bias::none) g.dbias = dbias.data<float>() + layout.origin;
                     set.attention_backward(g);
                     return std::vector<Tensor>{dq, dk, dv, dbias};
                   }});
}

// The probabilities, of a few heads that do not share keys alike.
void pattern_case(std::vector<KernelCase>& cases, const AttentionCase& s, DType type) {
  const Tensor q = random({s.batch, s.queries, s.heads, s.head_dim}, type, 1),
               k = random({s.batch, s.keys, s.kv_heads, s.head_dim}, type, 2);
  const Tensor slopes = random({s.heads}, DType::f32, 4), key_mask = hiding(s.batch, s.keys);
  cases.push_back({"attention_pattern " + label_of(s, type), f32_tolerance, 0, 0, s.large, [=](const KernelSet& set) {
                     const Tensor pattern = Tensor::empty({s.batch, s.heads, s.queries, s.keys});
                     Attention a = options(s, type, type);
                     a.q = dense<ConstHeads>(q);
                     a.k = dense<ConstHeads>(k);
                     if (s.slopes) a.slopes = slopes.data<float>();
                     if (s.mask) a.key_mask = key_mask.data<uint8_t>();
                     set.attention_pattern({.forward = a, .pattern = pattern.data<float>()});
                     return std::vector<Tensor>{pattern};
                   }});
}

// Random numbers as a cache of the type keeps them.
Tensor random_cache(const Shape& shape, DType type, uint64_t seed) {
  const Tensor x = random(shape, DType::f32, seed), y = Tensor::empty(shape, type);
  reference().copy(
      {.rank = 1, .size = {x.numel()}, .x = x.raw(), .x_stride = {1}, .y = y.raw(), .y_type = type, .y_stride = {1}});
  return y;
}

// Queries against keys and values of another type, which a cache keeps. count > 0: of the first row only so many are
// there, and of each other one less than of that before.
void cached_attention_case(std::vector<KernelCase>& cases, const AttentionCase& s, DType type, DType kv_type,
                           int32_t count = 0) {
  const Tensor q = random({s.batch, s.queries, s.heads, s.head_dim}, type, 1);
  const Shape kept{s.batch, s.keys, s.kv_heads, s.head_dim};
  const Tensor k = random_cache(kept, kv_type, 2), v = random_cache(kept, kv_type, 3);
  std::vector<int32_t> counts;
  for (int32_t b = 0; b < s.batch; ++b) counts.push_back(count - b);
  const Tensor counted = Tensor::from({s.batch}, counts);
  cases.push_back({fmt::format("attention cached b{} t{} s{} h{}/{} d{} {} {}{}{}", s.batch, s.queries, s.keys, s.heads,
                               s.kv_heads, s.head_dim, name_of(type), name_of(kv_type), s.window > 0 ? " window" : "",
                               count > 0 ? fmt::format(" of which {}", count) : ""),
                   tolerance_of(type), 0, 2 * static_cast<double>(bytes_of(kv_type, k.numel())), s.large,
                   [=](const KernelSet& set) {
                     const Tensor out = Tensor::empty(q.shape(), type);
                     Attention a = options(s, type, kv_type);
                     a.q = dense<ConstHeads>(q);
                     a.k = dense<ConstHeads>(k);
                     a.v = dense<ConstHeads>(v);
                     a.out = dense<Heads>(out);
                     if (count > 0) a.key_count = counted.data<int32_t>();
                     set.attention(a);
                     return std::vector<Tensor>{out};
                   }});
}

// Where the heads of pages [pages, heads, page_size, head_dim] lie.
ConstHeads in_pages(const Tensor& x) { return {x.raw(), x.stride(0), x.stride(2), x.stride(1)}; }

// Sequences of different lengths whose keys and values lie in pages: decoding, a few rows, chunks of prompts.
void paged_attention_case(std::vector<KernelCase>& cases, DType type, DType kv_type, int64_t page_size, bool special,
                          bool large) {
  struct Row {
    int64_t queries, keys;
  };
  const std::vector<Row> rows = large ? std::vector<Row>(16, {1, 1024})
                                      : std::vector<Row>{{1, 1}, {1, 77}, {3, 130}, {70, 70}, {20, 150}, {1, 64}};
  const int64_t heads = 4, kv_heads = 2, head_dim = large ? 64 : kv_type == DType::q8_0 ? 32 : 20;
  int64_t queries = 0, pages = 0;
  for (const Row& row : rows) {
    queries += row.queries;
    pages += (row.keys + page_size - 1) / page_size;
  }
  const Tensor q = random({1, queries, heads, head_dim}, type, 1);
  const Shape pool{pages, kv_heads, page_size, head_dim};
  const Tensor keys = random_cache(pool, kv_type, 2), values = random_cache(pool, kv_type, 3);
  const Tensor slopes = random({heads}, DType::f32, 4);
  // From the last page to the first: no two follow each other.
  std::vector<int32_t> order;
  for (int64_t page = 0; page < pages; ++page) order.push_back(static_cast<int32_t>(pages - 1 - page));
  const Tensor table = Tensor::from({pages}, order);
  cases.push_back({fmt::format("attention_each {} {} pages of {}{}", name_of(type), name_of(kv_type), page_size,
                               special ? " special" : ""),
                   tolerance_of(type), 0, 2 * static_cast<double>(bytes_of(kv_type, keys.numel())), large,
                   [=](const KernelSet& set) {
                     const Tensor out = Tensor::empty(q.shape(), type);
                     std::vector<Attention> all;
                     int64_t query = 0, page = 0;
                     for (const Row& row : rows) {
                       Attention a = options({.batch = 1,
                                              .queries = row.queries,
                                              .keys = row.keys,
                                              .heads = heads,
                                              .kv_heads = kv_heads,
                                              .head_dim = head_dim,
                                              .causal = true,
                                              .window = special ? 50 : 0,
                                              .softcap = special ? 3.0F : 0.0F},
                                             type, kv_type);
                       const int64_t skipped = query * heads * head_dim * size_of(type);
                       a.q = dense<ConstHeads>(q);
                       a.q.data = static_cast<const char*>(q.raw()) + skipped;
                       a.out = dense<Heads>(out);
                       a.out.data = static_cast<char*>(out.raw()) + skipped;
                       a.k = in_pages(keys);
                       a.v = in_pages(values);
                       if (special) a.slopes = slopes.data<float>();
                       a.pages = table.data<int32_t>() + page;
                       a.page_size = page_size;
                       all.push_back(a);
                       query += row.queries;
                       page += (row.keys + page_size - 1) / page_size;
                     }
                     set.attention_each(all);
                     return std::vector<Tensor>{out};
                   }});
}

// One query of each of many sequences, in one call whose numbers of keys and page tables lie in memory. One sequence
// has nothing, as where a batch is filled up.
void paged_rows_case(std::vector<KernelCase>& cases, DType type, DType kv_type, int64_t page_size, bool special,
                     bool large) {
  const std::vector<int32_t> counts =
      large ? std::vector<int32_t>(64, 1000)
            : std::vector<int32_t>{1, 77, 300, 0, 64, 5, 128, 129, 256, 511, 512, 2, 3, 33, 90};
  const int64_t rows = std::ssize(counts), bound = large ? 1024 : 512;
  const int64_t heads = 4, kv_heads = 2, head_dim = large ? 64 : kv_type == DType::q8_0 ? 32 : 20;
  const int64_t most = (bound + page_size - 1) / page_size;
  // From the last page to the first; behind a sequence's own stand pages that nobody has.
  std::vector<int32_t> pages(static_cast<size_t>(rows * most), -1000);
  int32_t used = 0;
  for (int64_t row = rows; row-- > 0;)
    for (int64_t i = 0; i * page_size < counts[static_cast<size_t>(row)]; ++i)
      pages[static_cast<size_t>(row * most + i)] = used++;
  const Tensor table = Tensor::from({rows, most}, pages), counted = Tensor::from({rows}, counts);
  const Tensor q = random({rows, 1, heads, head_dim}, type, 1);
  const Shape pool{used, kv_heads, page_size, head_dim};
  const Tensor keys = random_cache(pool, kv_type, 2), values = random_cache(pool, kv_type, 3);
  const Tensor slopes = random({heads}, DType::f32, 4);
  cases.push_back({fmt::format("attention rows {} {} pages of {}{}", name_of(type), name_of(kv_type), page_size,
                               special ? " special" : ""),
                   tolerance_of(type), 0, 2 * static_cast<double>(bytes_of(kv_type, keys.numel())), large,
                   [=](const KernelSet& set) {
                     const Tensor out = Tensor::empty(q.shape(), type);
                     Attention a = options({.batch = rows,
                                            .queries = 1,
                                            .keys = bound,
                                            .heads = heads,
                                            .kv_heads = kv_heads,
                                            .head_dim = head_dim,
                                            .causal = true,
                                            .window = special ? 50 : 0,
                                            .softcap = special ? 3.0F : 0.0F},
                                           type, kv_type);
                     a.q = dense<ConstHeads>(q);
                     a.out = dense<Heads>(out);
                     a.k = in_pages(keys);
                     a.v = in_pages(values);
                     if (special) a.slopes = slopes.data<float>();
                     a.pages = table.data<int32_t>();
                     a.pages_stride = most;
                     a.page_size = page_size;
                     a.key_count = counted.data<int32_t>();
                     set.attention(a);
                     return std::vector<Tensor>{out};
                   }});
}

// New positions of several sequences, whose keys and values stand in one projection's rows [rows, 3, heads, head_dim].
// The last one of several is to be left out.
void writing_case(std::vector<KernelCase>& cases, DType type, DType page_type, int64_t rows, int64_t head_dim,
                  bool large) {
  const int64_t heads = 4, page_size = 16, pages = rows / 4 + 2;
  const Tensor projected = random({rows, 3, heads, head_dim}, type, 1);
  std::vector<int32_t> order;
  for (int64_t i = 0; i < rows; ++i) order.push_back(static_cast<int32_t>((i * 37 + 5) % (pages * page_size)));
  if (rows > 1) order.back() = -1;
  const Tensor places = Tensor::from({rows}, order);
  const Tensor pool = Tensor::zeros({bytes_of(page_type, pages * heads * page_size * head_dim)}, DType::u8);
  cases.push_back(
      {fmt::format("write_pages {}x{}x{} {}->{}", rows, heads, head_dim, name_of(type), name_of(page_type)), 0, 0,
       4.0 * static_cast<double>(rows * heads * head_dim * size_of(type)), large, [=](const KernelSet& set) {
         const Tensor keys = copy_of(pool), values = copy_of(pool);
         const auto part = [&](int64_t i) {
           return ConstHeads{static_cast<const char*>(projected.raw()) + i * heads * head_dim * size_of(type), 0,
                             3 * heads * head_dim, head_dim};
         };
         set.write_pages({.rows = rows,
                          .heads = heads,
                          .head_dim = head_dim,
                          .page_size = page_size,
                          .places = places.data<int32_t>(),
                          .type = type,
                          .k = part(1),
                          .v = part(2),
                          .page_type = page_type,
                          .keys = keys.raw(),
                          .values = values.raw()});
         return std::vector<Tensor>{keys, values};
       }});
}

}  // namespace

void add_attention(std::vector<KernelCase>& cases, const ComputeTypes& both) {
  for (const DType type : both) {
    for (const int64_t head_dim : {1, 8, 20, 32, 64, 80, 128, 256})
      attention_case(cases, {2, 9, 9, 4, 2, head_dim, true}, type);
    for (const bool causal : {false, true}) {
      attention_case(cases, {1, 1, 1, 1, 1, 16, causal}, type);
      attention_case(cases, {2, 70, 70, 2, 2, 24, causal}, type);
      attention_case(cases, {1, 130, 130, 3, 1, 32, causal}, type);
      attention_case(cases, {2, 3, 77, 4, 2, 16, causal}, type);
      attention_case(cases, {1, 1, 200, 4, 4, 64, causal}, type);
      attention_case(cases, {1, 20, 150, 2, 1, 16, causal}, type);
      attention_case(cases, {1, 140, 140, 2, 2, 16, causal, 33}, type);
      attention_case(cases, {1, 200, 200, 1, 1, 16, causal, 150}, type);
      attention_case(cases, {2, 66, 66, 2, 2, 16, causal, 0, true}, type);
      attention_case(cases, {2, 2, 66, 2, 2, 16, causal, 5, true, Bias::heads}, type);
      attention_case(cases, {2, 66, 66, 2, 2, 16, causal, 0, false, Bias::heads}, type);
      attention_case(cases, {2, 30, 70, 2, 1, 16, causal, 0, false, Bias::whole}, type);
      attention_case(cases, {2, 70, 30, 2, 2, 16, causal, 0, false, Bias::keys}, type);
      attention_case(cases, {2, 70, 70, 2, 2, 16, causal, 0, true, Bias::distances}, type);
      attention_case(cases, {1, 3, 70, 4, 2, 16, causal, 0, false, Bias::distances, 0, false, 2}, type);
      attention_case(cases, {1, 100, 100, 2, 1, 16, causal, 0, true, Bias::heads, 0.2F}, type);
      attention_case(cases, {1, 100, 100, 4, 2, 16, causal, 0, false, Bias::none, 0, false, 2}, type);
      attention_case(cases, {1, 100, 100, 4, 2, 16, causal, 0, true, Bias::none, 0, false, 0, true}, type);
      attention_case(cases, {1, 2, 100, 4, 2, 16, causal, 20, false, Bias::none, 0, false, 2, true}, type);
    }
    for (const int64_t always : {3, 70})
      attention_case(cases,
                     {.batch = 2,
                      .queries = 150,
                      .keys = 150 + always,
                      .heads = 2,
                      .kv_heads = 2,
                      .head_dim = 16,
                      .causal = false,
                      .window = 9,
                      .mask = always == 3,
                      .always = always},
                     type);
    attention_case(cases, {0, 5, 5, 2, 2, 8, true}, type);
    attention_case(cases, {2, 66, 40, 66, 2, 20, true, 0, true}, type);  // many heads
    for (const DType kv_type : {DType::f32, both[1], DType::q8_0}) {
      for (const int64_t rows : {1, 7}) writing_case(cases, type, kv_type, rows, 32, false);
      if (kv_type != DType::q8_0) writing_case(cases, type, kv_type, 5, 7, false);
      writing_case(cases, type, kv_type, 64, 64, true);
      for (const int64_t page_size : {5, 64, 100})
        for (const bool special : {false, true}) {
          paged_attention_case(cases, type, kv_type, page_size, special, false);
          paged_rows_case(cases, type, kv_type, page_size, special, false);
        }
      paged_attention_case(cases, type, kv_type, 64, false, true);
      paged_rows_case(cases, type, kv_type, 64, false, true);
      cached_attention_case(cases, {1, 1, 200, 4, 4, 64, true}, type, kv_type);
      cached_attention_case(cases, {2, 3, 77, 8, 2, 32, true, 20}, type, kv_type);
      cached_attention_case(cases, {1, 70, 130, 2, 1, 96, true}, type, kv_type);
      for (const int32_t count : {1, 127, 300})
        cached_attention_case(cases, {2, 1, 512, 4, 2, 32, true, count == 127 ? 20 : 0}, type, kv_type, count);
      for (const int64_t kv_heads : {4, 32})
        cached_attention_case(cases,
                              {.batch = 1,
                               .queries = 1,
                               .keys = 2048,
                               .heads = 32,
                               .kv_heads = kv_heads,
                               .head_dim = 64,
                               .causal = true,
                               .large = true},
                              type, kv_type);
    }
    attention_case(cases, {12, 64, 64, 4, 4, 32, true, 0, false, Bias::none, 0, true}, type);
    attention_case(cases, {8, 256, 256, 6, 6, 64, true, 0, false, Bias::none, 0, true}, type);
    attention_case(cases, {1, 512, 512, 12, 12, 64, true, 0, false, Bias::none, 0, true}, type);
    attention_case(cases, {8, 128, 128, 12, 12, 64, false, 0, true, Bias::none, 0, true}, type);
    attention_case(cases, {1, 1, 1024, 12, 12, 64, true, 0, false, Bias::none, 0, true}, type);
    pattern_case(cases, {2, 5, 70, 4, 2, 24, true, 20, true, Bias::none, 0, false, 2, true}, type);
    pattern_case(cases, {1, 40, 40, 3, 3, 64, false}, type);
  }
}

}  // namespace qkv
