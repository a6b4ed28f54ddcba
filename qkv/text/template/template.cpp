#include "qkv/text/template/template.h"

#include "qkv/text/template/parser.h"
#include "qkv/text/template/renderer.h"

namespace qkv::jinja {

struct Tree {
  Body body;
};

Template::Template(std::string_view source) : tree_(std::make_shared<const Tree>(Tree{parse(source)})) {}

std::string Template::render(const OrderedJson& variables, std::optional<std::time_t> now) const {
  return Renderer(now ? *now : std::time(nullptr)).run(tree_->body, variables);
}

}  // namespace qkv::jinja
