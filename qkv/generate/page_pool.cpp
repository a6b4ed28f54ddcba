#include "qkv/generate/page_pool.h"

#include <algorithm>

namespace qkv {

PagePool::PagePool(int64_t pages, int64_t page_size) : pages_(static_cast<size_t>(pages)), page_size_(page_size) {
  for (int64_t i = pages; i-- > 0;) free_.push_back(static_cast<int32_t>(i));
}

uint64_t PagePool::key_of(uint64_t before, std::span<const int32_t> ids) {
  uint64_t hash = before * 0x9E3779B97F4A7C15U;
  for (const int32_t id : ids) {
    hash = (hash ^ static_cast<uint32_t>(id)) * 0xFF51AFD7ED558CCDU;
    hash ^= hash >> 32;
  }
  return hash;
}

int32_t PagePool::found(uint64_t before, std::span<const int32_t> ids) const {
  const auto [begin, end] = index_.equal_range(key_of(before, ids));
  for (auto it = begin; it != end; ++it) {
    const Page& page = pages_[static_cast<size_t>(it->second)];
    if (page.before == before && std::equal(ids.begin(), ids.end(), page.ids.begin(), page.ids.end()))
      return it->second;
  }
  return -1;
}

std::vector<int32_t> PagePool::find(std::span<const int32_t> ids, int64_t positions) {
  std::vector<int32_t> result;
  uint64_t before = 0;
  for (int64_t at = 0; at + page_size_ <= std::min<int64_t>(positions, std::ssize(ids)); at += page_size_) {
    const int32_t page = found(before, ids.subspan(static_cast<size_t>(at), static_cast<size_t>(page_size_)));
    if (page < 0) break;
    hold(page);
    before = pages_[static_cast<size_t>(page)].content;
    result.push_back(page);
  }
  return result;
}

int32_t PagePool::take() {
  if (free_.empty()) {
    const int32_t page = unused_.front();
    Page& old = pages_[static_cast<size_t>(page)];
    const auto [begin, end] = index_.equal_range(key_of(old.before, old.ids));
    index_.erase(std::find_if(begin, end, [&](const auto& entry) { return entry.second == page; }));
    unused_.pop_front();
    old = {};
    free_.push_back(page);
  }
  const int32_t page = free_.back();
  free_.pop_back();
  pages_[static_cast<size_t>(page)].holders = 1;
  return page;
}

void PagePool::hold(int32_t index) {
  Page& page = pages_[static_cast<size_t>(index)];
  if (page.holders++ == 0) unused_.erase(page.place);
}

void PagePool::release(int32_t index) {
  Page& page = pages_[static_cast<size_t>(index)];
  if (--page.holders > 0) return;
  if (page.content == 0) {
    free_.push_back(index);
  } else {
    page.place = unused_.insert(unused_.end(), index);
  }
}

int64_t PagePool::publish(std::vector<int32_t>& pages, std::span<const int32_t> ids, int64_t published) {
  uint64_t before = published > 0 ? pages_[static_cast<size_t>(pages[static_cast<size_t>(published - 1)])].content : 0;
  for (; (published + 1) * page_size_ <= std::ssize(ids) && published < std::ssize(pages); ++published) {
    const auto part = ids.subspan(static_cast<size_t>(published * page_size_), static_cast<size_t>(page_size_));
    int32_t& index = pages[static_cast<size_t>(published)];
    if (const int32_t same = found(before, part); same >= 0) {
      if (same != index) {
        hold(same);
        release(index);
        index = same;
      }
      before = pages_[static_cast<size_t>(same)].content;
      continue;
    }
    Page& page = pages_[static_cast<size_t>(index)];
    page.content = ++contents_;
    page.before = before;
    page.ids.assign(part.begin(), part.end());
    index_.emplace(key_of(before, part), index);
    before = page.content;
  }
  return published;
}

}  // namespace qkv
