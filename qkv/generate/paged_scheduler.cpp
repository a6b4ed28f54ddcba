#include "qkv/generate/paged_scheduler.h"

#include "qkv/core/error.h"
#include "qkv/ops/autograd.h"

#include <algorithm>
#include <iterator>

namespace qkv {
namespace {

// Logits of prompts exist for so many places at a time.
constexpr int64_t scored_chunk = 64;

int64_t pool_size(const EngineOptions& options, int64_t context) {
  const int64_t each = (context + options.page_size - 1) / options.page_size;
  return options.pages > 0 ? std::max(options.pages, each) : options.max_batch * each;
}

}  // namespace

PagedScheduler::PagedScheduler(Model& model, const EngineOptions& options, Model* draft)
    : Scheduler(model.spec(), options),
      model_(model),
      draft_(draft),
      pool_(pool_size(options, context_), options.page_size),
      cache_(model.spec().layers(), pool_.pages(), options.page_size, options.cache) {
  stats_.pages = pool_.pages();
  if (WritingStep::suits(model)) writing_ = std::make_unique<WritingStep>(model, cache_, options.compute, context_);
  if (draft == nullptr) return;
  if (!batches_continuously(draft->spec()) || draft->spec().vocab != model.spec().vocab)
    throw Error("draft", fmt::format("must be a model of keys and values with the same vocabulary of {} tokens",
                                     model.spec().vocab));
  const int64_t own = draft->spec().max_positions();
  if (own > 0 && own < context_)
    throw Error("draft", fmt::format("has {} positions, and the context has {}", own, context_),
                "ask for a shorter context, or for fewer new tokens");
  draft_cache_ = std::make_unique<PagedCache>(draft->spec().layers(), pool_.pages(), options.page_size);
  if (WritingStep::suits(*draft))
    draft_writing_ = std::make_unique<WritingStep>(*draft, *draft_cache_, options.compute, context_);
}

int64_t PagedScheduler::pages_for(int64_t positions) const {
  return (positions + pool_.page_size() - 1) / pool_.page_size();
}

// The most that the sequence will ever have in the cache.
int64_t PagedScheduler::most_positions(const Sequence& sequence) const {
  const int64_t left = context_ - std::ssize(sequence.request->prompt);
  return sequence.limit > left ? context_ : context_ - left + sequence.limit;
}

bool PagedScheduler::reserve(int64_t pages) {
  if (pool_.available() - reserved_ < pages) return false;
  reserved_ += pages;
  return true;
}

void PagedScheduler::take_pages(Sequence& sequence, int64_t positions) {
  while (std::ssize(sequence.pages) < pages_for(positions)) {
    sequence.pages.push_back(pool_.take());
    --sequence.reserved;
    --reserved_;
  }
}

void PagedScheduler::give_back(Sequence& sequence) {
  // The last page first, so that it is given up first: without those before it nobody can find it.
  for (size_t i = sequence.pages.size(); i-- > 0;) pool_.release(sequence.pages[i]);
  sequence.pages.clear();
  reserved_ -= sequence.reserved;
  sequence.reserved = 0;
  for (auto& sibling : sequence.siblings) give_back(*sibling);
}

// Admits sequences when all their pages are certain, so that none ever stops half way.
bool PagedScheduler::start(const Group& group) {
  const std::shared_ptr<Request>& request = group.request;
  auto first = std::make_unique<Sequence>();
  Sequence& s = *first;
  s.request = request;
  s.index = static_cast<size_t>(group.first);
  s.scores_prompt = request->score_prompt && group.first == 0;
  s.limit = request->options.max_new_tokens = limit_of(*request);
  s.ids = s.window = request->prompt;
  if (std::ssize(s.window) + (s.limit > 0 ? 1 : 0) > context_) shorten(s);
  s.pages = pages_shared_by(s);
  const int64_t shared = std::ssize(s.pages);
  const int64_t all = pages_for(most_positions(s));
  const int64_t others = group.count - 1;
  const int64_t each = all - std::ssize(s.window) / pool_.page_size();
  if (!reserve(all - shared + others * each)) {
    for (size_t i = s.pages.size(); i-- > 0;) pool_.release(s.pages[i]);
    return false;
  }
  s.reserved = all - shared;
  s.cached = s.draft_cached = shared * pool_.page_size();
  s.published = shared;
  s.guessing = options_.drafts;
  stats_.prompt_tokens += std::ssize(s.window);
  stats_.shared_tokens += s.cached;
  const RandomKey key{request->options.seed};
  s.random = Random(key.child(s.index));
  for (int64_t i = 1; i <= others; ++i) {
    auto sibling = std::make_unique<Sequence>();
    sibling->request = request;
    sibling->index = s.index + static_cast<size_t>(i);
    sibling->scores_prompt = s.scores_prompt;
    sibling->limit = s.limit;
    sibling->reserved = each;
    sibling->guessing = options_.drafts;
    sibling->random = Random(key.child(sibling->index));
    s.siblings.push_back(std::move(sibling));
  }
  running_.push_back(std::move(first));
  return true;
}

// The pages of earlier texts that begin as this one, held. The last position is read in any case: its scores are
// wanted.
std::vector<int32_t> PagedScheduler::pages_shared_by(const Sequence& s) {
  if (!options_.share_prefixes || s.scores_prompt) return {};
  std::vector<int32_t> pages = pool_.find(s.window, std::ssize(s.window) - 1);
  // A chunk that is read in part is another computation.
  while (options_.deterministic && std::ssize(pages) * pool_.page_size() % options_.prompt_chunk != 0) {
    pool_.release(pages.back());
    pages.pop_back();
  }
  return pages;
}

void PagedScheduler::admit() {
  while (!waiting_.empty()) {
    int64_t sequences = 0;
    for (const auto& s : running_) sequences += 1 + std::ssize(s->siblings);
    const Group group = next_group(1);
    if (sequences + group.count > options_.max_batch) break;
    if (start(group)) {
      begun(group);
      continue;
    }
    if (!running_.empty()) break;
    // Nobody will ever free more.
    const Waiting failing = waiting_.front();
    waiting_.pop();
    finish_waiting(failing, Finish::failed, "the cache has too few pages for this request");
  }
  stats_.waiting = waiting_.size();
}

// The window becomes its first `kept` tokens and its newest, half a context in all, to be read anew: positions count
// from its beginning.
void PagedScheduler::shorten(Sequence& s) const {
  const int64_t newest = std::max<int64_t>(1, context_ / 2 - s.request->kept);
  s.window.erase(s.window.begin() + s.request->kept, s.window.end() - newest);
  s.cached = s.draft_cached = s.published = 0;
}

// Makes room in the context. false: the pages that the sequence shared are not to be had a second time.
bool PagedScheduler::slide(Sequence& s) {
  const int64_t taken = pages_for(most_positions(s)) - s.reserved;
  for (size_t i = s.pages.size(); i-- > 0;) pool_.release(s.pages[i]);
  s.pages.clear();
  if (!reserve(taken)) return false;
  s.reserved += taken;
  shorten(s);
  return true;
}

// The siblings of a sequence whose prompt has been read: they share its full pages, and copy the last.
void PagedScheduler::fork(Sequence& s) {
  const int64_t full = s.cached / pool_.page_size();
  // Among the running ones first: whatever fails here, nobody is lost.
  const size_t first = running_.size();
  running_.insert(running_.end(), std::move_iterator(s.siblings.begin()), std::move_iterator(s.siblings.end()));
  s.siblings.clear();
  for (size_t i = first; i < running_.size(); ++i) {
    Sequence& t = *running_[i];
    t.ids = s.ids;
    t.window = s.window;
    t.cached = s.cached;
    t.draft_cached = std::min(s.draft_cached, s.cached);
    t.published = std::min(s.published, full);
    t.pages.assign(s.pages.begin(), s.pages.begin() + full);
    for (const int32_t page : t.pages) pool_.hold(page);
    if (t.cached % pool_.page_size() != 0) {
      take_pages(t, t.cached);
      cache_.copy_page(s.pages[static_cast<size_t>(full)], t.pages.back());
      if (draft_cache_) draft_cache_->copy_page(s.pages[static_cast<size_t>(full)], t.pages.back());
    }
  }
}

void PagedScheduler::fail_all(const std::string& message) {
  for (const auto& s : running_) {
    finish(*s->request, s->index, Finish::failed, message);
    for (const auto& sibling : s->siblings) finish(*s->request, sibling->index, Finish::failed, message);
    give_back(*s);
  }
  running_.clear();
  fail_waiting(message);
}

std::vector<PagedScheduler::Part> PagedScheduler::plan() {
  std::vector<Part> parts;
  std::vector<Sequence*> reading;
  for (const auto& s : running_) {
    if (s->left() == 1) {
      parts.push_back({s.get(), 1});
    } else {
      reading.push_back(s.get());
    }
  }
  if (options_.drafts > 0 && !options_.deterministic) guess(parts);
  int64_t budget = parts.empty() ? options_.prompt_chunk : options_.busy_chunk;
  for (size_t i = 0; i < reading.size() && (budget > 0 || options_.deterministic); ++i) {
    Sequence& s = *reading[i];
    int64_t rows = std::max<int64_t>(1, budget / static_cast<int64_t>(reading.size() - i));
    if (options_.deterministic) rows = options_.prompt_chunk - s.cached % options_.prompt_chunk;
    if (s.scores_prompt) rows = std::min(rows, scored_chunk);
    rows = std::min(rows, s.left());
    parts.push_back({&s, rows});
    budget -= rows;
  }
  // Who came first was served more: next time another.
  if (reading.size() > 1)
    std::rotate(
        running_.begin(),
        std::find_if(running_.begin(), running_.end(), [&](const auto& s) { return s.get() == reading[0]; }) + 1,
        running_.end());
  return parts;
}

void PagedScheduler::drop_cancelled_sequences() {
  std::erase_if(running_, [&](const std::unique_ptr<Sequence>& s) {
    if (!s->request->cancelled->load()) return false;
    finish(*s->request, s->index, Finish::cancelled);
    for (const auto& sibling : s->siblings) finish(*s->request, sibling->index, Finish::cancelled);
    give_back(*s);
    return true;
  });
}

bool PagedScheduler::step() {
  const NoGrad no_grad;
  drop_cancelled();
  drop_cancelled_sequences();
  admit();
  if (!running_.empty()) {
    ++stats_.steps;
    const std::vector<Part> parts = plan();
    if (options_.deterministic) {
      for (const Part& part : parts) run({part});
    } else {
      run(parts);
    }
    std::erase_if(running_, [&](const std::unique_ptr<Sequence>& s) {
      publish(*s);
      bool goes_on = tell(*s);
      if (goes_on && std::ssize(s->window) > context_ && !slide(*s)) {
        finish(*s->request, s->index, Finish::length);
        goes_on = false;
      }
      if (!goes_on) give_back(*s);
      return !goes_on;
    });
  }
  stats_.running = std::ssize(running_);
  stats_.pages_held = pool_.held();
  return !running_.empty() || !waiting_.empty();
}

// Lets others find the sequence's full pages.
void PagedScheduler::publish(Sequence& s) {
  if (!options_.share_prefixes) return;
  int64_t known = std::min<int64_t>(s.cached, std::ssize(s.window));
  // What was not read in whole chunks is another computation.
  if (options_.deterministic) {
    known = std::min(known, std::ssize(s.request->prompt));
    known -= known % options_.prompt_chunk;
    if (s.window.size() < s.ids.size()) known = 0;
  }
  s.published =
      pool_.publish(s.pages, std::span<const int32_t>(s.window).first(static_cast<size_t>(known)), s.published);
}

}  // namespace qkv
