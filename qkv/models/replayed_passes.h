// A model's passes over whole texts, for inference. On a GPU, passes over inputs of a form that has come before are
// recorded and replayed (tensor/replay.h): the host then asks for one thing a pass, not for every kernel.
#pragma once

#include "qkv/models/model.h"
#include "qkv/tensor/replay.h"

#include <list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace qkv {

class ReplayedPasses {
 public:
  using Outputs = std::vector<std::pair<std::string, Tensor>>;

  // `model` outlives this, and its parameters stay where they are and as they are. One thread at a time.
  ReplayedPasses(Model& model, DType compute);

  // What Model::hidden() and Model::outputs() give, with the same bits and without a tape; good until the next pass.
  // The inputs lie on the host.
  Tensor hidden(const Inputs& inputs);
  Outputs outputs(const Inputs& inputs);

  int64_t replays() const { return replays_; }  // so many passes were one

  // Whether nothing in hidden(), or in outputs() too, depends on what the texts say but ids, positions and masks.
  static bool suits(const Spec& spec);
  static bool suits_outputs(const Spec& spec);

 private:
  enum class Kind : uint8_t { hidden, outputs };
  // What makes two passes the same work.
  struct Form {
    Kind kind;
    Shape shape;  // of the ids
    bool masked;
    bool operator==(const Form&) const = default;
  };
  // A form that has come once, or is recorded.
  struct Known {
    Form form;
    Inputs inputs = {};    // that the recording reads
    Tensor numbers = {};   // i32: ids, positions and token types, which lie side by side and go over at once
    Outputs outputs = {};  // that it writes
    Replay replay = {};
    bool recorded = false;
  };

  Outputs run(Kind kind, const Inputs& inputs);
  Outputs compute(Kind kind, const Inputs& inputs);
  std::optional<Form> form_of(Kind kind, const Inputs& inputs) const;
  void write(Known& known, const Inputs& inputs) const;
  bool record(Known& known, const Inputs& inputs);
  bool forget();  // whether anything was recorded

  Model& model_;
  DType type_;
  std::list<Known> known_;  // what came last stands first
  int64_t replays_ = 0;
  bool possible_;
};

}  // namespace qkv
