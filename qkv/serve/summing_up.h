// Before a chat with a full context: its model sums up the older messages.
#pragma once

#include "qkv/serve/model_store.h"
#include "qkv/serve/routes.h"
#include "qkv/tasks/running_summary.h"
#include "qkv/text/tokenizer.h"

#include <atomic>
#include <functional>
#include <memory>

namespace qkv {

class SummingUp : public std::enable_shared_from_this<SummingUp> {
 public:
  // `ready` gets the prompt that the model is to answer; what it throws becomes the call's answer, and so does what
  // goes wrong before.
  SummingUp(Call call, std::shared_ptr<Lease> lease, OrderedJson messages, ChatOptions chat, GenerationOptions options,
            std::function<void(std::vector<int32_t> prompt)> ready);

  // Throws ApiError and Error. Nobody waits: the engine writes summaries among its other work, and between them the
  // model's worker makes the next prompt.
  void start();

 private:
  void go_on();
  void submit(Engine& engine);
  void finished(Finish finish, const std::string& message);
  void fail(const std::exception_ptr& error);
  std::vector<int32_t> prompt() const;

  Call call_;
  std::shared_ptr<Lease> lease_;
  OrderedJson messages_;
  ChatOptions chat_;
  GenerationOptions options_;
  std::function<void(std::vector<int32_t>)> ready_;
  RunningSummary summary_;
  RunningSummary::Question question_;
  StreamDecoder decoder_;
  std::string written_;
  std::shared_ptr<std::atomic<bool>> cancelled_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace qkv
