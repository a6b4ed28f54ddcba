#include "qkv/generate/writing_step.h"

#include "qkv/models/pass_kind.h"
#include "qkv/kernels/kernels.h"

#include <algorithm>
#include <bit>

namespace qkv {
namespace {

// Recordings that are kept at most. Each holds the memory of a step.
constexpr size_t most_steps = 8;

// The number that rows are filled up to.
int64_t rows_for(int64_t rows) {
  constexpr int64_t few = 8;
  if (rows <= few) return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rows)));
  return (rows + few - 1) / few * few;
}

// Where things stand in a step's numbers.
struct Layout {
  Tensor ids, positions, places, key_count, tables;

  Layout(const Tensor& numbers, int64_t rows)
      : ids(numbers.narrow(0, 0, rows)),
        positions(numbers.narrow(0, rows, rows)),
        places(numbers.narrow(0, 2 * rows, rows)),
        key_count(numbers.narrow(0, 3 * rows, rows)),
        tables(numbers.narrow(0, 4 * rows, numbers.numel() - 4 * rows).view({rows, numbers.numel() / rows - 4})) {}
};

}  // namespace

bool WritingStep::suits(const Model& model) {
  return model.device().type == Device::Type::cuda && passes_alike(model.spec());
}

WritingStep::WritingStep(Model& model, PagedCache& cache, DType compute, int64_t context)
    : model_(model), cache_(cache), compute_(compute), context_(context) {}

WritingStep::Form WritingStep::form_of(std::span<const Row> rows) const {
  int64_t keys = 0;
  for (const Row& row : rows) keys = std::max(keys, row.position + 1);
  return {rows_for(std::ssize(rows)), std::min(kernels::key_bound(keys), context_)};
}

int64_t WritingStep::pages_for(const Form& form) const {
  return (form.bound + cache_.page_size() - 1) / cache_.page_size();
}

WritingStep::Step& WritingStep::step_of(const Form& form) {
  const auto known = std::find_if(steps_.begin(), steps_.end(), [&](const Step& step) { return step.form == form; });
  if (known != steps_.end()) {
    steps_.splice(steps_.begin(), steps_, known);
  } else {
    if (steps_.size() == most_steps) steps_.pop_back();
    steps_.emplace_front(form, form.rows * (4 + pages_for(form)));
  }
  return steps_.front();
}

void WritingStep::write(const Step& step, std::span<const Row> rows) const {
  const Layout at(step.pass.numbers(), step.form.rows);
  const int64_t pages = at.tables.size(1);
  // Rows that only fill up are written nowhere, and see nothing.
  std::fill_n(step.pass.numbers().data<int32_t>(), step.pass.numbers().numel(), 0);
  std::fill_n(at.places.data<int32_t>(), step.form.rows, -1);
  for (int64_t i = 0; i < std::ssize(rows); ++i) {
    const Row& row = rows[static_cast<size_t>(i)];
    at.ids.data<int32_t>()[i] = row.id;
    at.positions.data<int32_t>()[i] = static_cast<int32_t>(row.position);
    at.places.data<int32_t>()[i] = cache_.place_of(row.pages, row.position);
    at.key_count.data<int32_t>()[i] = static_cast<int32_t>(row.position + 1);
    std::copy_n(row.pages.begin(), std::min(pages, std::ssize(row.pages)), at.tables.data<int32_t>() + i * pages);
  }
  step.pass.renew(model_.device());
}

Tensor WritingStep::scores(const Step& step) {
  const Layout at(step.pass.numbers(), step.form.rows);
  cache_.lay_out({.tables = at.tables, .key_count = at.key_count, .bound = step.form.bound}, at.places);
  Context context;
  context.compute = compute_;
  context.pages = &cache_;
  const Shape shape{1, step.form.rows};
  const Tensor h = model_.hidden({.input_ids = at.ids.view(shape), .position_ids = at.positions.view(shape)}, context);
  return model_.vocabulary_logits(h.view({shape[1], h.size(2)}), context);
}

Tensor WritingStep::run(std::span<const Row> rows) {
  Step& step = step_of(form_of(rows));
  write(step, rows);
  // The first of its form makes what is made once, and may be the last: forms that change with each step cost no
  // recordings.
  if (step.begun && possible_ && !step.recorded)
    step.recorded = possible_ = step.pass.record(model_.device(), [&] { return scores(step); });
  if (step.recorded) ++replays_;
  const Tensor all = step.recorded ? step.pass.play() : scores(step);
  step.begun = true;
  return all.narrow(0, 0, std::ssize(rows));
}

bool WritingStep::forget_recordings() {
  const bool any = std::any_of(steps_.begin(), steps_.end(), [](const Step& step) { return step.recorded; });
  steps_.clear();
  possible_ = false;
  return any;
}

}  // namespace qkv
