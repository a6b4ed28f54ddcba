#include "qkv/text/template/allowance.h"

#include "qkv/core/error.h"

namespace qkv::jinja {
namespace {

thread_local Allowance* current = nullptr;

}  // namespace

Allowance::Allowance() : outer_(current) { current = this; }
Allowance::~Allowance() { current = outer_; }

void Allowance::spend_steps(size_t steps) {
  if (current == nullptr) return;
  current->steps_ += steps;
  if (current->steps_ > most_steps) throw Error("template", "takes too many steps");
}

void Allowance::spend_bytes(size_t bytes) {
  if (current == nullptr) return;
  current->bytes_ += bytes;
  if (current->bytes_ > most_bytes) throw Error("template", "takes too much memory");
}

void Allowance::check_length(size_t bytes) {
  if (bytes > longest) throw Error("template", fmt::format("its text becomes longer than {} MiB", longest >> 20));
}

}  // namespace qkv::jinja
