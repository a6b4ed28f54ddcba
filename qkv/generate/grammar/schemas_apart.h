// Whether JSON Schemas exclude each other: that no value fits two of them.
#pragma once

#include "qkv/core/ordered_json.h"

namespace qkv {

class SchemasApart {
 public:
  explicit SchemasApart(const OrderedJson& root) : root_(root) {}  // which references point into

  // Of a list of schemas, each two. False where it cannot be shown.
  bool all(const OrderedJson& schemas);

 private:
  bool apart(const OrderedJson& a, const OrderedJson& b, int depth);
  const OrderedJson& resolved(const OrderedJson& schema, int depth) const;

  const OrderedJson& root_;
  int64_t comparisons_ = 0;
};

}  // namespace qkv
