// Walks the tree of a template with its variables, within bounds.
#pragma once

#include "qkv/text/template/allowance.h"
#include "qkv/text/template/tree.h"

#include <ctime>
#include <string>
#include <vector>

namespace qkv::jinja {

class Renderer {
 public:
  explicit Renderer(std::time_t now) : now_(now) {}
  ~Renderer();
  Renderer(const Renderer&) = delete;
  Renderer& operator=(const Renderer&) = delete;

  std::string run(const Body& body, const OrderedJson& variables);

 private:
  // The variables of a block, before those around it.
  struct Scope {
    Scope* around = nullptr;
    std::vector<std::pair<std::string, Value>> values = {};
    const Value* find(const std::string& name) const;
    void set(const std::string& name, Value value);
  };
  enum class Flow : uint8_t { on, next, out };  // how a body ended: at its end, by continue, by break
  // Counts how deep calls nest while it lives.
  class Deeper {
   public:
    explicit Deeper(Renderer& renderer);
    ~Deeper() { --renderer_.depth_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;

   private:
    Renderer& renderer_;
  };

  void add_globals();
  Flow run(const Body& body, Scope& scope, std::string& out);
  Flow run(const Statement& statement, Scope& scope, std::string& out);
  Flow loop(const Statement& statement, Scope& scope, std::string& out);
  void assign(const Statement& statement, Scope& scope);
  void bind(const std::vector<std::string>& names, Value value, Scope& scope);
  Value macro(const Statement& statement, Scope& around);
  Value called(const Statement& statement, Scope& around, const Arguments& given);
  void call_block(const Statement& statement, Scope& scope, std::string& out);
  std::string captured(const Body& body, Scope& scope);

  Value evaluate(const Expression& e, Scope& scope);
  Value value_of(const Expression& e, Scope& scope);
  Value slice(const Expression& e, Scope& scope);
  Value call(const Expression& e, Scope& scope, const Value* caller = nullptr);
  Value filter(const Expression& e, Scope& scope, const Value* piped = nullptr);
  Value compare(const Expression& e, Scope& scope);
  Arguments arguments(const Expression& e, size_t first, Scope& scope);

  const Allowance allowance_;
  Scope globals_;
  Scope root_{&globals_};  // the template's own variables, which macros see
  std::time_t now_;
  int depth_ = 0;
  std::vector<std::shared_ptr<Dict>> name_spaces_;
};

}  // namespace qkv::jinja
