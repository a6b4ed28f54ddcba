#include "qkv/models/task.h"

#include "qkv/core/error.h"

#include <array>

namespace qkv {
namespace {

struct Ending {
  std::string_view text;
  Task task;
};

// Longest first where one ends in another.
constexpr std::array<Ending, 13> endings = {{
    {"ForCausalLM", Task::causal_lm},
    {"LMHeadModel", Task::causal_lm},
    {"ModelWithLMHead", Task::causal_lm},
    {"ForConditionalGeneration", Task::sequence_to_sequence},
    {"MTModel", Task::sequence_to_sequence},
    {"ForMaskedLM", Task::masked_lm},
    {"ForPreTraining", Task::pretraining},
    {"ForSequenceClassification", Task::sequence_classification},
    {"ForTokenClassification", Task::token_classification},
    {"ForQuestionAnswering", Task::question_answering},
    {"ForQuestionAnsweringSimple", Task::question_answering},
    {"ForMultipleChoice", Task::multiple_choice},
    {"Model", Task::features},
}};

}  // namespace

Task task_of_architecture(std::string_view class_name, std::string_view where) {
  std::string known;
  for (const Ending& ending : endings) {
    if (class_name.ends_with(ending.text)) return ending.task;
    known += (known.empty() ? "..." : ", ...") + std::string(ending.text);
  }
  throw Error(where, fmt::format("\"architectures\" names {}, whose head is not supported", class_name),
              "supported endings: " + known);
}

std::string_view name_of(Task task) {
  switch (task) {
    case Task::features:
      return "features";
    case Task::causal_lm:
      return "causal language model";
    case Task::sequence_to_sequence:
      return "sequence to sequence";
    case Task::masked_lm:
      return "masked language model";
    case Task::pretraining:
      return "masked language model and next sentence";
    case Task::sequence_classification:
      return "sequence classification";
    case Task::token_classification:
      return "token classification";
    case Task::question_answering:
      return "question answering";
    case Task::multiple_choice:
      return "multiple choice";
    case Task::retrieval:
      return "retrieval of documents";
    case Task::replaced_tokens:
      return "detector of replaced tokens";
  }
  return "?";
}

}  // namespace qkv
