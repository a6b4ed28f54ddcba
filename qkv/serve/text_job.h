// One request for text: its prompts go to the engine, its continuations come back, whole or as a stream of events.
#pragma once

#include "qkv/generate/stop_strings.h"
#include "qkv/serve/model_store.h"
#include "qkv/serve/routes.h"
#include "qkv/serve/writing.h"

#include <mutex>

namespace qkv {

// A token with its text in its place. Its log probability is not known for a prompt's first.
struct TokenText {
  int32_t id = 0;
  std::string text;
  std::optional<float> log_probability;
  std::vector<std::pair<std::string, float>> likeliest;
};
constexpr int64_t most_alternatives = 20;       // that a request may ask for at each place
constexpr float least_log_probability = -9999;  // that an answer has: JSON has no infinity

// A continuation as it grows.
struct Choice {
  int64_t index = 0;  // as the client sees it
  std::string text;
  std::vector<TokenText> tokens;  // where log probabilities are asked for
  std::string finish;             // "stop" or "length"; "" while it goes on
  double log_probability = 0;     // of all its tokens
  int64_t count = 0;              // of tokens
};

struct Usage {
  int64_t prompt_tokens = 0, completion_tokens = 0;
};
Json to_json(const Usage& usage);

// How answers look: of completions, of chats.
class AnswerForm {
 public:
  virtual ~AnswerForm() = default;
  virtual Json whole(std::span<const Choice* const> choices, const Usage& usage) = 0;
  // Events of a stream: of its beginning, of text and tokens that a choice grew by, of its end (choice.finish), and
  // with the usage.
  virtual std::vector<Json> opening(const Choice&) { return {}; }
  virtual Json piece(const Choice& choice, const std::string& text, std::span<const TokenText> tokens) = 0;
  virtual std::vector<Json> closing(const Choice& choice) = 0;
  virtual Json usage(const Usage& usage) = 0;
};

class TextJob : public std::enable_shared_from_this<TextJob> {
 public:
  struct Prompt {
    std::vector<int32_t> ids;
    std::string echo;  // stands before the answer
    // What the answer's text goes on from: a space before its first word counts then.
    std::optional<int32_t> follows = {};
  };

  TextJob(Call call, std::shared_ptr<Lease> lease, Writing writing, std::unique_ptr<AnswerForm> form);

  // Submits the prompts; the reply is sent when the answers are there. `score_prompts`: with an echo and log
  // probabilities, the prompts' tokens get theirs too. Throws ApiError and Error.
  void start(std::vector<Prompt> prompts, bool score_prompts = false);

 private:
  struct Line {  // a continuation on its way to a Choice
    Choice choice;
    StreamDecoder decoder;
    StopStrings stop;
    size_t told = 0;     // tokens that the stream has
    bool begins = true;  // the next token begins a text: its first space is not shown
    size_t hidden = 0;   // bytes of text that it does not have yet
    bool done = false;
  };

  void submit(Engine& engine, const std::vector<Prompt>& prompts, bool score_prompts);
  void prompt_scored(size_t prompt, const std::vector<int32_t>& ids, const std::vector<ChosenToken>& scores);
  void show_prompt(size_t prompt, const std::vector<TokenText>& tokens);
  bool token(size_t line, const ChosenToken& token);
  void finished(size_t line, Finish finish, const std::string& message);
  void grow(Line& line, std::string piece);
  void fail(const std::exception_ptr& error);
  std::string field_of(std::string option) const;
  void finish_reply();
  void event(const Json& data);
  TokenText text_of(const ChosenToken& token, bool begins) const;
  TokenText first_of(int32_t id) const;

  Call call_;
  std::shared_ptr<Lease> lease_;
  const Tokenizer& tokenizer_;
  Writing writing_;
  std::unique_ptr<AnswerForm> form_;
  std::shared_ptr<std::atomic<bool>> cancelled_ = std::make_shared<std::atomic<bool>>(false);

  std::mutex mutex_;
  std::vector<Line> lines_;
  size_t left_ = 0;  // lines that are not done
  Usage usage_;
  bool begun_ = false;  // the stream
  bool ended_ = false;
};

}  // namespace qkv
