#include "qkv/io/tensorflow_checkpoint.h"

#include "qkv/io/tensor_bundle.h"
#include "qkv/models/tensorflow_names.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>

namespace qkv {
namespace {

class RenamedBundle : public TensorFile {
 public:
  RenamedBundle(const fs::path& index, const TensorflowLayout& layout) : where_(index.string()), bundle_(index) {
    for (const std::string& variable : bundle_.names()) {
      std::optional<TensorflowName> found = name_from_tensorflow(variable, layout);
      if (!found) continue;
      const Shape& stored = bundle_.shape(variable);
      const bool transposed = found->transposed && stored.rank() == 2;
      const Shape shape = transposed ? Shape{stored[1], stored[0]} : stored;
      if (!variables_.emplace(found->name, Variable{variable, shape, transposed}).second)
        throw Error(tensor_place(where_, variable), fmt::format("would be a second '{}'", found->name));
    }
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, unused] : variables_) names.push_back(name);
    return names;
  }
  bool contains(const std::string& name) const override { return variables_.count(name) > 0; }
  const Shape& shape(const std::string& name) const override { return variable(name).shape; }
  DType dtype(const std::string& name) const override { return bundle_.dtype(variable(name).stored); }
  Tensor get(const std::string& name) const override {
    const Variable& found = variable(name);
    const Tensor value = bundle_.get(found.stored);
    return found.transposed ? value.transpose(0, 1) : value;
  }

 private:
  struct Variable {
    std::string stored;
    Shape shape;
    bool transposed = false;
  };
  const Variable& variable(const std::string& name) const {
    const auto found = variables_.find(name);
    if (found == variables_.end()) throw_no_tensor(where_, name, names());
    return found->second;
  }

  std::string where_;
  TensorBundle bundle_;
  std::map<std::string, Variable> variables_;
};

// The file "checkpoint" begins with a line  model_checkpoint_path: "model.ckpt-1000".
std::string named_in(const fs::path& file) {
  constexpr uint64_t max_size = 1 << 20;
  if (!fs::exists(file)) return "";
  const std::string text = read_file(file, max_size);
  const std::string key = "model_checkpoint_path: \"";
  const size_t at = text.find(key);
  if (at == std::string::npos) return "";
  const size_t begin = at + key.size();
  const fs::path path = text.substr(begin, text.find('"', begin) - begin);
  return path.filename().string() + ".index";  // it may name the folder of another machine
}

}  // namespace

fs::path find_tensorflow_index(const fs::path& directory) {
  std::vector<std::string> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".index") && name.find("ckpt") != std::string::npos) found.push_back(name);
  }
  if (found.empty()) return {};
  const std::string named = named_in(directory / "checkpoint");
  if (std::find(found.begin(), found.end(), named) != found.end()) return directory / named;
  std::sort(found.begin(), found.end());
  if (found.size() > 1)
    throw Error(directory.string(), fmt::format("holds several checkpoints: {}", fmt::join(found, ", ")),
                "leave the one that you mean");
  return directory / found[0];
}

std::unique_ptr<const TensorFile> open_tensorflow(const fs::path& index) {
  const Config config = Config::read(index.parent_path());
  const Family& family = family_of(config);
  if (family.tensorflow.names.empty())
    throw Error(index.string(), fmt::format("TensorFlow checkpoints of {} are not read", family.name),
                "convert it with transformers, or fetch the model as safetensors");
  return std::make_unique<RenamedBundle>(index, family.tensorflow);
}

}  // namespace qkv
