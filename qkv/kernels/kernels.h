// The one interface between the operations and the machine. A kernel set is a table of functions on raw memory:
// `reference` (plain loops, the specification), `cpu` (fast), and a place for `cuda`. Kernels trust their input:
// ops/ checks shapes and dtypes before it calls one.
//
// Conventions. Sizes and strides are in elements. "compute type" is f32 or bf16, or, for the sets `reference` and
// `cuda`, f16: all pointers so described in one call have the same dtype, named by the field `type`; arithmetic inside
// is f32, results round once on the way out. bf16 and f16 do not meet in a call, but to be copied. Norm weights,
// biases, statistics and every parameter gradient are f32 always. Token ids are i32. A null pointer means "not wanted"
// or "not given" where the comment says so. Buffers do not overlap unless the comment allows it. Results do not depend
// on timing: the same thread count gives the same bits.
#pragma once

#include "qkv/kernels/activation.h"
#include "qkv/tensor/dtype.h"
#include "qkv/tensor/storage.h"

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

namespace qkv::kernels {

// C[m,n] = activation(op(A)[m,k] op(B)[k,n] + bias[n]) (+ C before, when accumulate; then no activation).
// op(A) is A[m,k] with leading dimension lda, or, transposed, A stored as [k,m]. Likewise B: [k,n], or, transposed,
// [n,k], which is how a linear layer keeps its weight. A, B and C: of any compute type, independently.
// B transposed may also lie in blocks (blocks.h), its rows dense: ldb = k.
// Where both inputs have 16 bits the products are exact and sums are f32. Sizes may be 0 (k = 0 gives bias or zeros).
struct Gemm {
  int64_t m = 0, n = 0, k = 0;
  const void* a = nullptr;
  DType a_type = DType::f32;
  int64_t lda = 0;
  bool a_transposed = false;
  const void* b = nullptr;
  DType b_type = DType::f32;
  int64_t ldb = 0;
  bool b_transposed = false;
  void* c = nullptr;
  DType c_type = DType::f32;
  int64_t ldc = 0;
  bool accumulate = false;
  const float* bias = nullptr;         // may be null
  const void* rounded_bias = nullptr;  // the same in C's type, for sets that take it; may be null
  Activation activation = Activation::none;
};

// A weight W[n,k] rearranged once for products in inference, in a layout that is the kernel set's own. `type` says what
// is kept: a block type (W comes in its blocks, and its values stay as they are), or i8: integers in [-127,127] with a
// scale a row, q = round(W / scale), scale = max |W| / 127, from rows of a compute type; or a compute type, from rows
// of one. k is a multiple of the type's block.
struct Pack {
  DType type = DType::i8;
  int64_t n = 0, k = 0;
  const void* rows = nullptr;
  DType rows_type = DType::f32;
  float outlier = 0;       // i8: see PackedGemm
  bool plain = false;      // for numbers that do not fit otherwise: see KernelSet::pack
  void* packed = nullptr;  // of packed_bytes(type, n, k, plain), 64-byte aligned
};

// C[m,n] = activation(Q(A)[m,k] W^T + bias[n]), W packed. Q rounds A to integers times a scale, max |A| / 127 of a row
// for i8, of the columns of one of W's blocks for a block type (32, or 256 for q2_k to q6_k); half-way cases go to the
// even integer. For a compute type, Q turns A into W's type, and sums are f32. A, C: of a compute type.
// Where W was packed with outlier > 0 (i8 only), columns of A that hold a value beyond it are multiplied as they are,
// beside the integers of the others (LLM.int8(), Dettmers et al. 2022).
// With in_blocks, W lies in its blocks, and is rearranged on the way each time: for a weight that is read a few times.
struct PackedGemm {
  int64_t m = 0, n = 0, k = 0;
  const void* a = nullptr;
  DType a_type = DType::f32;
  int64_t lda = 0;
  const void* packed = nullptr;
  DType type = DType::i8;
  bool in_blocks = false;
  void* c = nullptr;
  DType c_type = DType::f32;
  int64_t ldc = 0;
  const float* bias = nullptr;  // may be null
  Activation activation = Activation::none;
};

// out[j] = sum_i x[i,j] (+ out[j] when accumulate): the gradient of a bias. x has the compute type; its rows begin `ld`
// elements apart (0: width).
struct SumRows {
  int64_t rows = 0, width = 0, ld = 0;
  const void* x = nullptr;
  DType type = DType::f32;
  float* out = nullptr;
  bool accumulate = false;
};

// out[i,:] = table[ids[i],:]; table and out may differ in compute type; the table may lie in blocks (blocks.h).
// When accumulate, adds to out.
struct Gather {
  int64_t rows = 0, width = 0;
  const int32_t* ids = nullptr;
  const void* table = nullptr;
  DType table_type = DType::f32;
  void* out = nullptr;
  DType out_type = DType::f32;
  bool accumulate = false;
  bool packed = false;  // the table is a packed weight (see Pack) of any type but i8
};

// out[ids[i],:] += x[i,:], in the order of i for each row of out (deterministic); the id `padding` is skipped. out is
// f32 [table_rows, width], or begins at a row behind the first: then ids may be negative.
struct ScatterAdd {
  int64_t rows = 0, width = 0, table_rows = 0;
  const int32_t* ids = nullptr;
  const void* x = nullptr;
  DType type = DType::f32;
  float* out = nullptr;
  int32_t padding = std::numeric_limits<int32_t>::min();  // no id
};

// Layer norm (Ba et al. 2016): y = (s - mean(s)) * rstd * weight + bias, rstd = 1 / sqrt(var(s) + eps), or RMS norm
// (Zhang & Sennrich 2019): y = s * rstd * weight, rstd = 1 / sqrt(mean(s^2) + eps), over each row of s = x + residual.
// `sum` receives s when residual is given (s is rounded to the compute type first); it may be the same memory as x
// or residual. mean (layer norm only) and rstd [rows] may be null when no backward pass follows.
enum class NormKind : uint8_t { layer, rms };
struct Norm {
  NormKind kind = NormKind::layer;
  int64_t rows = 0, width = 0;
  float eps = 0;
  DType type = DType::f32;
  const void* x = nullptr;
  const void* residual = nullptr;  // may be null
  void* sum = nullptr;             // null exactly when residual is
  const float* weight = nullptr;
  const float* bias = nullptr;  // may be null
  void* y = nullptr;
  float* mean = nullptr;
  float* rstd = nullptr;
};

// From dy and the forward's s, mean and rstd: ds = dnorm/ds (dy) + dsum, where dsum (may be null) is the gradient that
// reaches s by another way. dweight and dbias are added to when accumulate, else overwritten; each may be null.
// ds may be the same memory as dy or dsum.
struct NormBackward {
  NormKind kind = NormKind::layer;
  int64_t rows = 0, width = 0;
  DType type = DType::f32;
  const void* s = nullptr;
  const void* dy = nullptr;
  const void* dsum = nullptr;
  const float* weight = nullptr;
  const float* mean = nullptr;
  const float* rstd = nullptr;
  void* ds = nullptr;
  float* dweight = nullptr;
  float* dbias = nullptr;
  bool accumulate = false;
};

// y = f(x), elementwise. y may be x.
struct Activate {
  Activation kind = Activation::none;
  int64_t count = 0;
  DType type = DType::f32;
  const void* x = nullptr;
  void* y = nullptr;
};

// dx = f'(x) dy. dx may be dy.
struct ActivateBackward {
  Activation kind = Activation::none;
  int64_t count = 0;
  DType type = DType::f32;
  const void* x = nullptr;
  const void* dy = nullptr;
  void* dx = nullptr;
};

// Gated units (Shazeer 2020): x is [rows, 2 width], gate before up; y[rows, width] = f(gate) * up.
struct Gated {
  Activation kind = Activation::silu;
  int64_t rows = 0, width = 0;
  DType type = DType::f32;
  const void* x = nullptr;
  void* y = nullptr;
};
struct GatedBackward {
  Activation kind = Activation::silu;
  int64_t rows = 0, width = 0;
  DType type = DType::f32;
  const void* x = nullptr;
  const void* dy = nullptr;  // [rows, width]
  void* dx = nullptr;        // [rows, 2 width]
};

// A [batch, time, heads, head_dim] array whose last dimension is dense.
struct Heads {
  void* data = nullptr;
  int64_t batch_stride = 0, time_stride = 0, head_stride = 0;
};
struct ConstHeads {
  const void* data = nullptr;
  int64_t batch_stride = 0, time_stride = 0, head_stride = 0;
};

// What masks of dropout are drawn from (core/random.h): `key`, xored with *step where that is given: in the device's
// memory, and read when the kernel runs.
struct MaskKey {
  uint32_t key = 0;
  const uint32_t* step = nullptr;

  constexpr uint32_t operator()() const { return step == nullptr ? key : key ^ *step; }
};

// Scaled dot-product attention (Vaswani et al. 2017), without ever holding T x S scores for all heads
// (Dao et al. 2022):
//   out[b,t,h,:] = sum_s p[b,h,t,s] v[b,s,g,:],  p = softmax_s(scale q.k + bias[h,t,s]),  g = h / (heads / kv_heads)
// softcap > 0: scale q.k becomes softcap tanh(scale q.k / softcap) first. slopes f32 [heads]: head h adds
// slopes[h] (s - position of t), as in ALiBi (Press et al. 2021).
// Query t stands at key position t + (keys - queries). causal: it sees s <= its position; window > 0: only the last
// `window` of those (s > position - window; not causal: also s < position + window) and the first `always` keys, which
// stand before position 0. key_mask u8 [batch, keys]: 0
// hides a key from every query of that row. A query that sees nothing gives zeros. bias f32 with its own strides
// (0 = shared). Dropout on p with probability `dropout`: element index ((b heads + h) queries + t) keys + s, as
// 32 bits, dropped when dropout_hash(dropout_key(), index) < dropout * 2^32, others divided by 1 - dropout.
// logsumexp f32 [batch, heads, queries] (of the scaled, biased scores; 0 where nothing is seen): may be null when no
// backward pass follows.
// q and out have the compute type; k and v have a compute type or, in a cache, q8_0, whose blocks lie along head_dim, a
// multiple of 32, and whose strides count elements as all do.
struct Attention {
  int64_t batch = 0, queries = 0, keys = 0, heads = 0, kv_heads = 0, head_dim = 0;
  DType type = DType::f32;
  DType kv_type = DType::f32;
  ConstHeads q, k, v;
  Heads out;
  float* logsumexp = nullptr;
  float scale = 1;
  bool causal = false;
  int64_t window = 0;
  int64_t always = 0;
  float softcap = 0;
  const float* slopes = nullptr;  // may be null
  const uint8_t* key_mask = nullptr;
  const float* bias = nullptr;
  int64_t bias_batch_stride = 0, bias_head_stride = 0, bias_query_stride = 0, bias_key_stride = 0;
  float dropout = 0;
  MaskKey dropout_key;
  // Keys and values in pages: position s of row b stands in row s % page_size of page
  // pages[b * pages_stride + s / page_size], and the batch stride of k and v leads from page to page. null: positions
  // stand in order. Without mask, bias, dropout or backward pass.
  const int32_t* pages = nullptr;
  int64_t pages_stride = 0;
  int64_t page_size = 0;
  // [batch]: how many keys each row has, read when the kernel runs; null: all. They are the first, and `keys` is a
  // bound, so that the call can be recorded and replayed while texts grow. A row of none gets zeros. Of attention()
  // with at most 4 queries, and without mask, bias, dropout or backward pass. Where the bound is key_bound() of a
  // number that all rows have, the result is that of the call without.
  const int32_t* key_count = nullptr;
};

// Sums over keys are divided alike for all numbers of keys with the same bound.
inline int64_t key_bound(int64_t keys) { return keys <= 128 ? 128 : (keys + 255) / 256 * 256; }

// The gradients of Attention, all of whose arrays have the compute type. `forward` holds its arguments, `out` and
// `logsumexp` included. dq, dk, dv are
// overwritten. dbias: f32, laid out by the bias strides, added to; may be null.
struct AttentionBackward {
  Attention forward;
  ConstHeads dout;
  Heads dq, dk, dv;
  float* dbias = nullptr;
};

// A term of attention's bias, read out of scores against a table of relative positions (Dai et al. 2019, He et al.
// 2020):   bias[b,h,t,s] = scale * scores[b, by_key ? s : t, h, i],  i = places[b,t,s]
// and -1e30 for a negative place: no probability, but where nothing else is seen. When accumulate, adds to bias.
// scores f32 [batch, by_key ? keys : queries, heads, positions]; places i32 [batch, queries, keys], of one row for all
// when places_batch_stride is 0; bias f32 [batch, heads, queries, keys].
struct RelativeBias {
  int64_t batch = 0, queries = 0, keys = 0, heads = 0, positions = 0;
  const float* scores = nullptr;
  bool by_key = false;
  const int32_t* places = nullptr;
  int64_t places_batch_stride = 0;
  float scale = 1;
  float* bias = nullptr;
  bool accumulate = false;
};
// dscores, as scores, is overwritten. Of `forward`, scores, bias and accumulate are not read.
struct RelativeBiasBackward {
  RelativeBias forward;
  const float* dbias = nullptr;
  float* dscores = nullptr;
};

// The probabilities p that Attention uses, before dropout: f32 [batch, heads, queries, keys]. For looking inside.
struct AttentionPattern {
  Attention forward;  // v, out and dropout are not read
  float* pattern = nullptr;
};

// Rotary position embedding (Su et al. 2021) on the first `rotary_dim` of head_dim; the rest is copied.
// Pair i, of elements (i, i + rotary_dim/2), or (2i, 2i+1) when interleaved, turns by angle a = table row of
// positions[b,t]: (x cos a - y sin a, x sin a + y cos a); inverse turns by -a, which is the gradient.
// cosine and sine: f32 [table_rows, rotary_dim/2]. positions: i32 [batch, time]. out may be x.
struct Rotary {
  int64_t batch = 0, time = 0, heads = 0, head_dim = 0, rotary_dim = 0;
  DType type = DType::f32;
  ConstHeads x;
  Heads out;
  const float* cosine = nullptr;
  const float* sine = nullptr;
  const int32_t* positions = nullptr;
  bool interleaved = false;
  bool inverse = false;
};

// Causal depthwise convolution: y[b,t,d] = bias[d] + sum_j weight[d,j] x[b, t - taps + 1 + j, d], with x's rows
// [batch, time, width] at the strides given. Before position 0 stand the rows of `before` [batch, taps - 1, width],
// dense, or zeros when it is null.
struct CausalConv {
  int64_t batch = 0, time = 0, width = 0, taps = 0;
  DType type = DType::f32;
  const void* x = nullptr;
  int64_t x_batch_stride = 0, x_time_stride = 0;
  const void* before = nullptr;   // may be null
  const float* weight = nullptr;  // [width, taps]
  const float* bias = nullptr;    // may be null
  void* y = nullptr;              // dense
};
// The gradients of CausalConv without `before`; dy and dx are dense. dweight and dbias are added to where their flag
// says so, else overwritten; dbias may be null.
struct CausalConvBackward {
  CausalConv forward;  // y is not read
  const void* dy = nullptr;
  void* dx = nullptr;
  float* dweight = nullptr;
  float* dbias = nullptr;
  bool accumulate_weight = false, accumulate_bias = false;
};

// The selective scan of a state space (Gu & Dao 2023, arXiv 2312.00752, section 3.2), A = -exp(log_a):
//   h[b,t,d,n] = exp(delta[b,t,d] A[d,n]) h[b,t-1,d,n] + delta[b,t,d] B[b,t,n] x[b,t,d]
//   y[b,t,d]   = sum_n C[b,t,n] h[b,t,d,n] + skip[d] x[b,t,d]
// x, delta, y: [batch, time, width], dense; B and C: [batch, time, states], their rows `ld` apart. h is f32, starts
// from `before` [batch, states, width] (null: zeros), and its last value is written to `after`, which may be `before`
// or null.
struct SelectiveScan {
  int64_t batch = 0, time = 0, width = 0, states = 0;
  DType type = DType::f32;
  const void* x = nullptr;
  const void* delta = nullptr;
  const void* b = nullptr;
  const void* c = nullptr;
  int64_t ld = 0;
  const float* log_a = nullptr;  // [width, states]
  const float* skip = nullptr;   // [width]
  void* y = nullptr;
  const float* before = nullptr;
  float* after = nullptr;
};
// The gradients of SelectiveScan without `before`. dx and ddelta have the compute type; db and dc are f32
// [batch, time, states], dense. dlog_a and dskip are added to where their flag says so, else overwritten.
struct SelectiveScanBackward {
  SelectiveScan forward;  // y and after are not read
  const void* dy = nullptr;
  void* dx = nullptr;
  void* ddelta = nullptr;
  float* db = nullptr;
  float* dc = nullptr;
  float* dlog_a = nullptr;
  float* dskip = nullptr;
  bool accumulate_log_a = false, accumulate_skip = false;
};

// A damped moving average of each channel d in `states` dimensions (Ma et al. 2022, arXiv 2209.10655, section 3.1):
//   h[b,t,d,n] = decay[d,n] h[b,t-1,d,n] + in[d,n] x[b,t,d],   y[b,t,d] = sum_n out[d,n] h[b,t,d,n]
// reversed: t runs from the last position to the first, t + 1 being what came before t. x, y: [batch, time, width],
// dense; add: y is added to. decay, in, out: [width, states]. h is f32, starts from `before` [batch, states, width]
// (null: zeros), and its last value is written to `after`, which may be `before` or null.
struct MovingAverage {
  int64_t batch = 0, time = 0, width = 0, states = 0;
  DType type = DType::f32;
  const void* x = nullptr;
  const float* decay = nullptr;
  const float* in = nullptr;
  const float* out = nullptr;
  bool reversed = false;
  bool add = false;
  void* y = nullptr;
  const float* before = nullptr;
  float* after = nullptr;
};
// The gradients of MovingAverage without `before`. dx is added to when forward.add; the others are overwritten.
struct MovingAverageBackward {
  MovingAverage forward;  // y and after are not read
  const void* dy = nullptr;
  void* dx = nullptr;
  float* ddecay = nullptr;
  float* din = nullptr;
  float* dout = nullptr;
};

// Softmax cross-entropy of each row of logits [rows, vocab] against targets [rows]:
//   loss[i] = (1 - smoothing) (lse - x_target) + smoothing (lse - mean(x)),   lse = log sum exp x
// and dlogits[i,:] = scale * dloss[i]/dx. A target outside [0, vocab), such as -100, is ignored: loss 0, gradient 0.
// dlogits may be null, or the same memory as logits.
struct CrossEntropy {
  int64_t rows = 0, vocab = 0;
  DType type = DType::f32;
  const void* logits = nullptr;
  int64_t ld = 0;
  const int32_t* targets = nullptr;
  float smoothing = 0;
  float scale = 1;
  float* loss = nullptr;
  void* dlogits = nullptr;
};

// y = softmax(x) over each row, or log softmax. y may be x.
struct Softmax {
  int64_t rows = 0, width = 0;
  DType type = DType::f32;
  bool log = false;
  const void* x = nullptr;
  void* y = nullptr;
};
// dx from dy and y: y (dy - sum(dy y)), or for log softmax dy - exp(y) sum(dy). dx may be dy.
struct SoftmaxBackward {
  int64_t rows = 0, width = 0;
  DType type = DType::f32;
  bool log = false;
  const void* y = nullptr;
  const void* dy = nullptr;
  void* dx = nullptr;
};

// y[i] = alpha a[i] op beta b[i % b_count], elementwise. y may be a (or b when b_count == count).
enum class BinaryOp : uint8_t { add, multiply };
struct Binary {
  BinaryOp op = BinaryOp::add;
  int64_t count = 0, b_count = 0;  // b_count divides count
  DType type = DType::f32;
  const void* a = nullptr;
  const void* b = nullptr;
  void* y = nullptr;
  float alpha = 1, beta = 1;  // add: alpha a + beta b; multiply: alpha beta a b
};

// y = alpha x. y may be x.
struct Scale {
  int64_t count = 0;
  DType type = DType::f32;
  const void* x = nullptr;
  void* y = nullptr;
  float alpha = 1;
};

// Inverted dropout: element i is dropped when dropout_hash(key(), i mod 2^32) < p * 2^32, others are divided by 1 - p.
// The same call on the gradient is its backward pass. y may be x.
struct Dropout {
  int64_t count = 0;
  DType type = DType::f32;
  const void* x = nullptr;
  void* y = nullptr;
  float p = 0;
  MaskKey key;
};

// y = x for arrays of up to six dimensions with any strides, converting between any two dtypes (float to integer is not
// asked for). Serves casts, transposes and concatenation. x may lie in blocks (blocks.h): then y is dense, and f32 or
// of x's type, and x's last dimension is dense. y may lie in q8_0 blocks, as quantize_q8_0() fills them, where x has a
// compute type: then the last dimension is dense on both sides.
struct Copy {
  int rank = 0;
  int64_t size[6] = {};
  const void* x = nullptr;
  DType x_type = DType::f32;
  int64_t x_stride[6] = {};
  void* y = nullptr;
  DType y_type = DType::f32;
  int64_t y_stride[6] = {};
  // y begins *place times place_stride elements further on, read when the kernel runs; null: nowhere else.
  const int32_t* place = nullptr;
  int64_t place_stride = 0;
};

// Keys and values of new positions to their places in pages: row i of k and of v, [rows, heads, head_dim], the last
// dimension dense, to row places[i] % page_size of page places[i] / page_size, in all heads; nowhere where places[i] is
// negative. No two rows have the same place. k and v have the compute type; pages [pages, heads, page_size, head_dim] a
// type that Copy takes that one to.
struct WritePages {
  int64_t rows = 0, heads = 0, head_dim = 0, page_size = 0;
  const int32_t* places = nullptr;
  DType type = DType::f32;
  ConstHeads k, v;  // of one batch
  DType page_type = DType::f32;
  void* keys = nullptr;
  void* values = nullptr;
};

// Arrays of a compute type that are taken as one vector, whose norm is the root of the sum of squares, summed in f64.
// NaN and inf propagate.
struct L2NormPart {
  int64_t count = 0;
  DType type = DType::f32;
  const void* x = nullptr;
};

// What differs from step to step, which optimizers read when they run: in the device's memory, for a recorded step is
// replayed with other numbers (tensor/replay.h).
struct StepNumbers {
  float lr = 0;
  float correction1 = 1, correction2 = 1;  // of AdamW: 1 - b1^step and 1 - b2^step, with steps counted from 1
  uint32_t word = 0;                       // of the step, for what is rounded at random
};

// How an optimizer takes gradients: times min(1, most / *norm), where *norm, in the device's memory, is the norm of all
// that step together; most = 0 leaves them as they are. Where *norm is not finite, nothing changes. null: no norm.
struct Clipping {
  const float* norm = nullptr;
  float most = 0;

  constexpr bool skips() const { return norm != nullptr && !(*norm <= std::numeric_limits<float>::max()); }
  constexpr float factor() const { return norm != nullptr && most > 0 && *norm > most ? most / *norm : 1; }
};

// Optimizers take all tensors of a parameter group in one call. `half`, if given, receives the new parameter rounded to
// bf16: to the nearest, or, where `rounding` is not 0, element i at random (bf16_at_random) with dropout_hash(rounding
// ^ word of the step, i mod 2^32).
struct OptimizerTensor {
  int64_t count = 0;
  float* parameter = nullptr;
  const float* gradient = nullptr;
  float* first = nullptr;   // first moment or momentum
  float* second = nullptr;  // second moment (AdamW only)
  bf16* half = nullptr;
  uint32_t rounding = 0;
};

// AdamW (Loshchilov & Hutter 2019): m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2;
// p = p (1 - lr decay) - lr (m / (1 - b1^step)) / (sqrt(v / (1 - b2^step)) + eps).
struct AdamW {
  const StepNumbers* now = nullptr;
  Clipping clipping;
  float beta1 = 0.9F, beta2 = 0.999F, eps = 1e-8F, weight_decay = 0;
};
// Lion (Chen et al. 2023): p = p (1 - lr decay) - lr sign(b1 m + (1-b1) g); m = b2 m + (1-b2) g.
struct Lion {
  const StepNumbers* now = nullptr;
  Clipping clipping;
  float beta1 = 0.9F, beta2 = 0.99F, weight_decay = 0;
};
// SGD with momentum: m = momentum m + g; p = p (1 - lr decay) - lr (nesterov ? g + momentum m : m). With momentum 0,
// `first` may be null.
struct Sgd {
  const StepNumbers* now = nullptr;
  Clipping clipping;
  float momentum = 0, weight_decay = 0;
  bool nesterov = false;
};

// The table. Every entry of `reference` is set; another set takes reference's entry where it has none of its own,
// and says so in `inherited`.
struct KernelSet {
  std::string_view name;
  bool takes_rounded_bias = false;  // see Gemm
  void (*gemm)(const Gemm&) = nullptr;
  // What packed numbers of a type take; `plain`: whatever numbers they are.
  int64_t (*packed_bytes)(DType type, int64_t n, int64_t k, bool plain) = nullptr;
  // False: numbers of this type are kept in fewer bits than they have, without loss, and these do not fit; they have to
  // be packed `plain`.
  bool (*pack)(const Pack&) = nullptr;
  void (*packed_gemm)(const PackedGemm&) = nullptr;
  void (*sum_rows)(const SumRows&) = nullptr;
  void (*gather)(const Gather&) = nullptr;
  void (*scatter_add)(const ScatterAdd&) = nullptr;
  void (*norm)(const Norm&) = nullptr;
  void (*norm_backward)(const NormBackward&) = nullptr;
  void (*activate)(const Activate&) = nullptr;
  void (*activate_backward)(const ActivateBackward&) = nullptr;
  void (*gated)(const Gated&) = nullptr;
  void (*gated_backward)(const GatedBackward&) = nullptr;
  void (*attention)(const Attention&) = nullptr;
  // Independent attentions with any numbers of queries and keys, in one call: of the same types, heads and head_dim,
  // with batch 1, without dropout.
  void (*attention_each)(std::span<const Attention>) = nullptr;
  void (*attention_backward)(const AttentionBackward&) = nullptr;
  void (*attention_pattern)(const AttentionPattern&) = nullptr;
  void (*relative_bias)(const RelativeBias&) = nullptr;
  void (*relative_bias_backward)(const RelativeBiasBackward&) = nullptr;
  void (*rotary)(const Rotary&) = nullptr;
  void (*causal_conv)(const CausalConv&) = nullptr;
  void (*causal_conv_backward)(const CausalConvBackward&) = nullptr;
  void (*selective_scan)(const SelectiveScan&) = nullptr;
  void (*selective_scan_backward)(const SelectiveScanBackward&) = nullptr;
  void (*moving_average)(const MovingAverage&) = nullptr;
  void (*moving_average_backward)(const MovingAverageBackward&) = nullptr;
  void (*cross_entropy)(const CrossEntropy&) = nullptr;
  void (*softmax)(const Softmax&) = nullptr;
  void (*softmax_backward)(const SoftmaxBackward&) = nullptr;
  void (*binary)(const Binary&) = nullptr;
  void (*scale)(const Scale&) = nullptr;
  void (*dropout)(const Dropout&) = nullptr;
  void (*copy)(const Copy&) = nullptr;
  void (*write_pages)(const WritePages&) = nullptr;
  void (*fill)(void* y, DType type, int64_t count, float value) = nullptr;
  void (*l2_norm)(std::span<const L2NormPart>, float* norm) = nullptr;
  void (*adamw)(std::span<const OptimizerTensor>, const AdamW&) = nullptr;
  void (*lion)(std::span<const OptimizerTensor>, const Lion&) = nullptr;
  void (*sgd)(std::span<const OptimizerTensor>, const Sgd&) = nullptr;

  std::vector<std::string_view> inherited;  // entries taken from reference
};

const KernelSet& reference();
const KernelSet& cpu();
const KernelSet& cuda();  // only in builds with CUDA

// The set for a device. QKV_KERNELS=reference in the environment makes it `reference` for the whole process.
const KernelSet& kernels_for(Device device);

}  // namespace qkv::kernels
