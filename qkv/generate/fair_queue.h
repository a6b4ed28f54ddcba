// A queue in which clients take turns: one who asks a hundred times waits behind one who asks once.
#pragma once

#include <deque>
#include <list>
#include <string>
#include <utility>

namespace qkv {

template <typename T>
class FairQueue {
 public:
  bool empty() const { return lines_.empty(); }
  int64_t size() const { return size_; }

  void push(const std::string& client, T item) {
    ++size_;
    for (Line& line : lines_)
      if (line.client == client) return line.items.push_back(std::move(item));
    lines_.push_back({client, {}});
    lines_.back().items.push_back(std::move(item));
  }

  // Whose turn it is. Not empty.
  T& front() { return lines_.front().items.front(); }

  void pop() {
    --size_;
    lines_.front().items.pop_front();
    if (lines_.front().items.empty()) {
      lines_.pop_front();
    } else {
      pass();
    }
  }

  // The client's turn is over, though its item stays at the head of its line.
  void pass() { lines_.splice(lines_.end(), lines_, lines_.begin()); }

  // Takes out those that `condition` holds for, and calls `removed` with each.
  template <typename Condition, typename Removed>
  void remove_if(Condition&& condition, Removed&& removed) {
    for (auto line = lines_.begin(); line != lines_.end();) {
      for (auto item = line->items.begin(); item != line->items.end();) {
        if (!condition(*item)) {
          ++item;
          continue;
        }
        removed(*item);
        item = line->items.erase(item);
        --size_;
      }
      line = line->items.empty() ? lines_.erase(line) : std::next(line);
    }
  }

 private:
  struct Line {
    std::string client;
    std::deque<T> items;
  };
  std::list<Line> lines_;
  int64_t size_ = 0;
};

}  // namespace qkv
