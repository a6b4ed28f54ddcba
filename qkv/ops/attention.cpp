#include "qkv/ops/attention.h"

#include "qkv/ops/autograd.h"
#include "qkv/ops/check.h"
#include "qkv/ops/shape.h"

#include <algorithm>

namespace qkv {
namespace {

kernels::ConstHeads read_heads(const Tensor& x) { return {x.raw(), x.stride(0), x.stride(1), x.stride(2)}; }
kernels::Heads write_heads(const Tensor& x) { return {x.raw(), x.stride(0), x.stride(1), x.stride(2)}; }

Tensor dense_heads(const Tensor& x) { return x.stride(3) == 1 || x.size(3) == 1 ? x : contiguous(x); }

int64_t broadcast_stride(const Tensor& bias, int dim) { return bias.size(dim) == 1 ? 0 : bias.stride(dim); }

// Keys and values have the queries' type, or that of a cache.
void check_cache_type(const Tensor& q, const Tensor& k, const Tensor& v, std::string_view op) {
  check(k.dtype() == v.dtype() &&
            (k.dtype() == q.dtype() || k.dtype() == DType::f32 || k.dtype() == DType::bf16 || k.dtype() == DType::q8_0),
        op, "expected keys and values of one type, f32, bf16 or q8_0, got {} and {}", name_of(k.dtype()),
        name_of(v.dtype()));
}

kernels::Attention arguments(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options) {
  constexpr std::string_view op = "attention";
  check_compute_type(q, op);
  check(q.rank() == 4 && k.rank() == 4 && v.shape() == k.shape() && q.size(0) == k.size(0) && q.size(3) == k.size(3) &&
            k.size(2) > 0 && q.size(2) % k.size(2) == 0,
        op, "expected q [B,T,H,K] and k, v [B,S,G,K], got {}, {} and {}", q.shape(), k.shape(), v.shape());
  check_cache_type(q, k, v, op);
  kernels::Attention a{.batch = q.size(0),
                       .queries = q.size(1),
                       .keys = k.size(1),
                       .heads = q.size(2),
                       .kv_heads = k.size(2),
                       .head_dim = q.size(3),
                       .type = q.dtype(),
                       .kv_type = k.dtype(),
                       .q = read_heads(q),
                       .k = read_heads(k),
                       .v = read_heads(v),
                       .scale = options.scale,
                       .causal = options.causal,
                       .window = options.window,
                       .always = options.always,
                       .softcap = options.softcap,
                       .dropout = options.dropout,
                       .dropout_key = options.key.mask(q.device())};
  check(options.always >= 0 && options.always <= std::max<int64_t>(0, a.keys - a.queries), op,
        "{} keys that are always seen do not stand before {} queries of {} keys", options.always, a.queries, a.keys);
  if (options.key_mask) {
    const Tensor& mask = options.key_mask;
    check(mask.dtype() == DType::u8 && mask.shape() == Shape{a.batch, a.keys} && mask.contiguous(), op,
          "expected a u8 key mask [{}, {}], got {}", a.batch, a.keys, mask.shape());
    a.key_mask = mask.on(q.device()).data<uint8_t>();
  }
  if (options.slopes) {
    check(options.slopes.dtype() == DType::f32 && options.slopes.shape() == Shape{a.heads}, op,
          "expected f32 slopes [{}], got {}", a.heads, options.slopes.shape());
    a.slopes = options.slopes.on(q.device()).data<float>();
  }
  if (options.key_count) {
    const bool plain = !options.key_mask && !options.bias && !options.distances && options.dropout == 0;
    check(options.key_count.dtype() == DType::i32 && options.key_count.shape() == Shape{a.batch} && a.queries <= 4 &&
              plain,
          op, "counts of keys are i32 [{}], for at most 4 queries without mask, bias or dropout", a.batch);
    a.key_count = options.key_count.on(q.device()).data<int32_t>();
  }
  if (options.bias) {
    const Tensor& bias = options.bias;
    const Shape full{a.batch, a.heads, a.queries, a.keys};
    check(bias.dtype() == DType::f32 && bias.rank() == 4, op, "expected an f32 bias of rank 4");
    for (int i = 0; i < 4; ++i)
      check(bias.size(i) == full[i] || bias.size(i) == 1, op, "bias {} does not fit {}", bias.shape(), full);
    a.bias = bias.data<float>();
    a.bias_batch_stride = broadcast_stride(bias, 0);
    a.bias_head_stride = broadcast_stride(bias, 1);
    a.bias_query_stride = broadcast_stride(bias, 2);
    a.bias_key_stride = broadcast_stride(bias, 3);
  }
  if (options.distances) {
    const Tensor& d = options.distances;
    check(!options.bias && d.dtype() == DType::f32 && d.contiguous() &&
              d.shape() == Shape{a.heads, a.queries + a.keys - 1},
          op, "expected, and no bias beside them, f32 distances [{}, {}], got {}", a.heads, a.queries + a.keys - 1,
          d.shape());
    a.bias = d.data<float>() + a.queries - 1;
    a.bias_head_stride = d.size(1);
    a.bias_query_stride = -1;
    a.bias_key_stride = 1;
  }
  return a;
}

// What the kernel takes as bias, and where it begins in its buffer.
const Tensor& bias_of(const AttentionOptions& options) { return options.distances ? options.distances : options.bias; }
int64_t bias_origin(const AttentionOptions& options, int64_t queries) { return options.distances ? queries - 1 : 0; }

}  // namespace

Tensor attention(const Tensor& q_in, const Tensor& k_in, const Tensor& v_in, const AttentionOptions& options) {
  const Tensor q = dense_heads(q_in);
  const Tensor k = dense_heads(k_in);
  const Tensor v = dense_heads(v_in);
  kernels::Attention forward = arguments(q, k, v, options);
  const Tensor& bias = bias_of(options);
  const bool recorded = wants_grad({&q, &k, &v, &bias});
  check(!recorded || k.dtype() == q.dtype(), "attention", "keys and values of a cache have no gradient");
  Tensor out = Tensor::empty(q.shape(), q.dtype(), q.device());
  const Tensor logsumexp =
      recorded ? Tensor::empty({forward.batch, forward.heads, forward.queries}, DType::f32, q.device()) : Tensor();
  forward.out = write_heads(out);
  forward.logsumexp = recorded ? logsumexp.data<float>() : nullptr;
  kernels_of(q, k, v, bias).attention(forward);
  if (!recorded) return out;

  // The closure keeps every tensor that `forward` points into.
  record({&out}, {&q, &k, &v, &bias},
         [=, keep = out.detach(), dq_wanted = wants_grad(q), dk_wanted = wants_grad(k), dv_wanted = wants_grad(v),
          dbias_wanted = wants_grad(bias)](std::span<const Tensor> grads) {
           const Tensor dout = contiguous(grads[0]);
           // The kernel overwrites, so it gets the slot itself only where nothing has been collected yet. A tensor that
           // stands in two places has one slot, which is taken once.
           struct Target {
             Tensor buffer;
             bool own;
           };
           std::vector<const GradMeta*> taken;
           const auto target = [&taken](const Tensor& x, bool wanted) -> Target {
             const GradMeta* meta = x.grad_meta().get();
             if (wanted && std::find(taken.begin(), taken.end(), meta) == taken.end()) {
               taken.push_back(meta);
               const GradSlot slot = grad_slot(x);
               if (!slot.accumulate) return {slot.buffer, false};
             }
             return {Tensor::empty(x.shape(), x.dtype(), x.device()), true};
           };
           const Target dq = target(q, dq_wanted);
           const Target dk = target(k, dk_wanted);
           const Target dv = target(v, dv_wanted);
           kernels::AttentionBackward a{.forward = forward,
                                        .dout = read_heads(dout),
                                        .dq = write_heads(dq.buffer),
                                        .dk = write_heads(dk.buffer),
                                        .dv = write_heads(dv.buffer)};
           a.forward.logsumexp = logsumexp.data<float>();
           a.forward.out = write_heads(keep);
           if (dbias_wanted) {
             const GradSlot slot = grad_slot(bias_of(options));
             if (!slot.accumulate) kernels_of(q).fill(slot.buffer.raw(), DType::f32, slot.buffer.numel(), 0);
             a.dbias = slot.buffer.data<float>() + bias_origin(options, forward.queries);
           }
           kernels_of(q).attention_backward(a);
           if (dq.own && dq_wanted) accumulate_grad(q, dq.buffer);
           if (dk.own && dk_wanted) accumulate_grad(k, dk.buffer);
           if (dv.own && dv_wanted) accumulate_grad(v, dv.buffer);
         });
  return out;
}

PagedRuns::PagedRuns(std::vector<PagedRun> runs) : runs_(std::move(runs)) {
  std::vector<int32_t> tables;
  for (const PagedRun& run : runs_) tables.insert(tables.end(), run.pages.begin(), run.pages.end());
  tables_ = Tensor::from({std::ssize(tables)}, tables);
  const int32_t* place = tables_.data<int32_t>();
  for (PagedRun& run : runs_) {
    run.pages = {place, run.pages.size()};
    place += run.pages.size();
  }
}

const int32_t* PagedRuns::table(size_t run, Device device) const {
  return tables_.on(device).data<int32_t>() + (runs_[run].pages.data() - tables_.data<int32_t>());
}

namespace {

constexpr std::string_view paged = "paged_attention";

// What the calls for all sequences have in common.
kernels::Attention paged_arguments(const Tensor& q, const Tensor& keys, const Tensor& values,
                                   const AttentionOptions& options) {
  check_compute_type(q, paged);
  check(q.rank() == 4 && q.size(0) == 1 && keys.rank() == 4 && values.shape() == keys.shape() && keys.contiguous() &&
            values.contiguous() && q.size(3) == keys.size(3) && q.size(2) % keys.size(1) == 0,
        paged, "expected q [1,N,H,K] and pages [n,G,P,K], got {}, {} and {}", q.shape(), keys.shape(), values.shape());
  check_cache_type(q, keys, values, paged);
  check(!options.slopes || options.slopes.shape() == Shape{q.size(2)}, paged, "expected f32 slopes [{}]", q.size(2));
  check(!options.bias && !options.distances && !options.key_mask && options.dropout == 0 && options.always == 0, paged,
        "takes no bias, mask or dropout");
  const auto pool = [](const Tensor& x) { return kernels::ConstHeads{x.raw(), x.stride(0), x.stride(2), x.stride(1)}; };
  return {.heads = q.size(2),
          .kv_heads = keys.size(1),
          .head_dim = q.size(3),
          .type = q.dtype(),
          .kv_type = keys.dtype(),
          .k = pool(keys),
          .v = pool(values),
          .scale = options.scale,
          .causal = true,
          .window = options.window,
          .softcap = options.softcap,
          .slopes = options.slopes ? options.slopes.on(q.device()).data<float>() : nullptr,
          .page_size = keys.size(2)};
}

// Whether the first `keys` positions of a sequence lie in pages that there are.
void check_pages(std::span<const int32_t> table, int64_t keys, const Tensor& pool) {
  const int64_t pages = (keys + pool.size(2) - 1) / pool.size(2);
  check(pages <= std::ssize(table), paged, "{} keys are in more pages than {}", keys, table.size());
  for (const int32_t page : table.first(static_cast<size_t>(pages)))
    check(page >= 0 && page < pool.size(0), paged, "there is no page {}", page);
}

}  // namespace

Tensor paged_attention(const Tensor& q_in, const Tensor& keys, const Tensor& values, const PagedRuns& runs,
                       const AttentionOptions& options) {
  const Tensor q = dense_heads(q_in);
  const kernels::Attention any = paged_arguments(q, keys, values, options);
  Tensor out = Tensor::empty(q.shape(), q.dtype(), q.device());
  std::vector<kernels::Attention> all;
  for (const PagedRun& run : runs.all()) {
    check(run.first >= 0 && run.queries >= 0 && run.first + run.queries <= q.size(1) && run.queries <= run.keys, paged,
          "a run of {} queries at {} and {} keys does not fit {} rows", run.queries, run.first, run.keys, q.size(1));
    check_pages(run.pages, run.keys, keys);
    kernels::Attention a = any;
    a.batch = 1;
    a.queries = run.queries;
    a.keys = run.keys;
    a.q = read_heads(q.narrow(1, run.first, run.queries));
    a.out = write_heads(out.narrow(1, run.first, run.queries));
    a.pages = runs.table(all.size(), q.device());
    all.push_back(a);
  }
  kernels_of(q, keys, values).attention_each(all);
  return out;
}

Tensor paged_attention(const Tensor& q_in, const Tensor& keys, const Tensor& values, const PagedRows& rows,
                       const AttentionOptions& options) {
  const Tensor q = dense_heads(q_in);
  kernels::Attention a = paged_arguments(q, keys, values, options);
  const Tensor &tables = rows.tables, &counts = rows.key_count;
  const int64_t N = q.size(1);
  check(tables.dtype() == DType::i32 && tables.rank() == 2 && tables.size(0) == N && tables.contiguous() &&
            counts.dtype() == DType::i32 && counts.shape() == Shape{N} && counts.contiguous(),
        paged, "expected i32 page tables [{}, M] and numbers of keys [{}], got {} and {}", N, N, tables.shape(),
        counts.shape());
  const size_t M = static_cast<size_t>(tables.size(1));
  for (int64_t i = 0; i < N; ++i) {
    const int32_t count = counts.data<int32_t>()[i];
    check(count >= 0 && count <= rows.bound, paged, "{} keys are not within the bound of {}", count, rows.bound);
    check_pages({tables.data<int32_t>() + static_cast<size_t>(i) * M, M}, count, keys);
  }
  Tensor out = Tensor::empty(q.shape(), q.dtype(), q.device());
  // Each row of q is one of the batch.
  a.batch = N;
  a.queries = 1;
  a.keys = rows.bound;
  a.q = {q.raw(), q.stride(1), q.stride(0), q.stride(2)};
  a.out = {out.raw(), out.stride(1), out.stride(0), out.stride(2)};
  a.pages = tables.on(q.device()).data<int32_t>();
  a.pages_stride = tables.size(1);
  a.key_count = counts.on(q.device()).data<int32_t>();
  kernels_of(q, keys, values).attention(a);
  return out;
}

Tensor attention_pattern(const Tensor& q_in, const Tensor& k_in, const AttentionOptions& options) {
  const Tensor q = dense_heads(q_in);
  const Tensor k = dense_heads(k_in);
  const kernels::Attention forward = arguments(q, k, k, options);
  Tensor pattern = Tensor::empty({forward.batch, forward.heads, forward.queries, forward.keys}, DType::f32, q.device());
  kernels_of(q, k, bias_of(options)).attention_pattern({.forward = forward, .pattern = pattern.data<float>()});
  return pattern;
}

Tensor rotary(const Tensor& x_in, const RotaryTable& table, const Tensor& positions) {
  constexpr std::string_view op = "rotary";
  check_compute_type(x_in, op);
  check(x_in.rank() == 4, op, "expected x [B,T,H,K], got {}", x_in.shape());
  const Tensor x = dense_heads(x_in);
  check(table.cosine && table.cosine.rank() == 2 && table.cosine.shape() == table.sine.shape() &&
            2 * table.cosine.size(1) <= x.size(3),
        op, "the table does not fit head dimension {}", x.size(3));
  check(positions.dtype() == DType::i32 && positions.shape() == Shape{x.size(0), x.size(1)} && positions.contiguous(),
        op, "expected i32 positions [{}, {}], got {}", x.size(0), x.size(1), positions.shape());
  for (int64_t i = 0; i < positions.numel(); ++i) {
    const int32_t position = positions.data<int32_t>()[i];
    if (position < 0 || position >= table.cosine.size(0))
      throw Error(op, fmt::format("position {} is beyond the model's {}", position, table.cosine.size(0)),
                  "use a shorter text");
  }
  const auto run = [table, positions](const Tensor& from, const Tensor& to, bool inverse) {
    kernels_of(from).rotary({.batch = from.size(0),
                             .time = from.size(1),
                             .heads = from.size(2),
                             .head_dim = from.size(3),
                             .rotary_dim = 2 * table.cosine.size(1),
                             .type = from.dtype(),
                             .x = read_heads(from),
                             .out = write_heads(to),
                             .cosine = table.cosine.on(from.device()).data<float>(),
                             .sine = table.sine.on(from.device()).data<float>(),
                             .positions = positions.on(from.device()).data<int32_t>(),
                             .interleaved = table.interleaved,
                             .inverse = inverse});
  };
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  run(x, y, false);
  if (wants_grad(x))
    record({&y}, {&x}, [x, run](std::span<const Tensor> grads) {
      const GradSlot slot = grad_slot(x);
      const Tensor dx = slot.accumulate ? Tensor::empty(x.shape(), x.dtype(), x.device()) : slot.buffer;
      run(contiguous(grads[0]), dx, true);
      if (slot.accumulate) accumulate_grad(x, dx);
    });
  return y;
}

}  // namespace qkv
