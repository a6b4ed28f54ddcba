// Who holds which page of a PagedCache: pages are counted, shared by sequences that begin alike, and found again
// after their sequence has ended, until somebody needs the room.
#pragma once

#include <cstdint>
#include <list>
#include <span>
#include <unordered_map>
#include <vector>

namespace qkv {

class PagePool {
 public:
  PagePool(int64_t pages, int64_t page_size);

  // Pages that hold the beginning of `ids`, at most `positions` of them, from the first position on, each held once
  // more. Whole pages only.
  std::vector<int32_t> find(std::span<const int32_t> ids, int64_t positions);

  // A page held once, its contents arbitrary; of those that are found again the longest unused is given up for it.
  // available() > 0.
  int32_t take();
  void hold(int32_t page);
  void release(int32_t page);

  // Says that the full pages of a sequence hold `ids`, so that others find them: page i the positions from
  // i * page_size. `published` is how many of them were said before; returns how many now are. Where another page
  // already has the contents, the sequence's own is released and that one held in its place.
  int64_t publish(std::vector<int32_t>& pages, std::span<const int32_t> ids, int64_t published);

  int64_t page_size() const { return page_size_; }
  int64_t pages() const { return static_cast<int64_t>(pages_.size()); }
  int64_t available() const { return static_cast<int64_t>(free_.size() + unused_.size()); }
  // Pages that somebody holds.
  int64_t held() const { return pages() - available(); }
  bool shared(int32_t page) const { return pages_[static_cast<size_t>(page)].holders > 1; }

 private:
  struct Page {
    int64_t holders = 0;
    uint64_t content = 0;  // a name of what it holds and all before it; 0: nobody can find it
    uint64_t before = 0;   // the content of the page before
    std::vector<int32_t> ids;
    std::list<int32_t>::iterator place;  // in unused_, where nobody holds it and it can be found
  };
  int32_t found(uint64_t before, std::span<const int32_t> ids) const;  // -1: none
  static uint64_t key_of(uint64_t before, std::span<const int32_t> ids);

  std::vector<Page> pages_;
  std::vector<int32_t> free_;
  std::list<int32_t> unused_;  // the longest unused first
  std::unordered_multimap<uint64_t, int32_t> index_;
  int64_t page_size_;
  uint64_t contents_ = 0;
};

}  // namespace qkv
