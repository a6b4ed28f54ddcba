// Conversations on disk. A conversation is a tree of messages: editing or regenerating one adds a sibling, and its
// `leaf` is the end of the branch that is shown.
#pragma once

#include "qkv/core/ordered_json.h"
#include "qkv/serve/database.h"

#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace qkv {

class ConversationStore {
 public:
  // DIR/conversations.db, made where there is none, with its directories; readable by their owner alone. A message is
  // on the disk when the function that stores it returns.
  explicit ConversationStore(const fs::path& directory);
  ~ConversationStore();

  // As objects of "id", "title", "created", "updated" (seconds since 1970), the latest first. With a search, those
  // whose title or messages contain it, without regard to case (case_folding.h).
  OrderedJson list(const std::string& search = "");

  // Fields are "title", "settings" (an object: system prompt, model, sampling), "leaf" (a message's id). Absent ones
  // are empty, or stay as they are. These return the conversation without messages.
  OrderedJson create(const OrderedJson& fields);
  std::optional<OrderedJson> change(const std::string& id, const OrderedJson& fields);  // none: there is none

  // With "messages": a list of {"id", "parent" (null for a first one), "role", "content", "extra", "created"}.
  std::optional<OrderedJson> read(const std::string& id);

  // Adds a message {"parent", "role", "content", "extra"}, makes it the leaf, and returns it with its "id".
  std::optional<OrderedJson> add(const std::string& id, const OrderedJson& message);

  // Nothing of what is removed stays in the file, unless another program is reading it (`erased` is false then): each
  // later write and the end try again.
  struct Removed {
    bool there, erased;
  };
  Removed remove(const std::string& id);
  Removed remove_all();

  // All conversations with their messages; and such a document's, added under new ids. Returns how many.
  OrderedJson export_all();
  int64_t import_all(const OrderedJson& document);

 private:
  std::string insert(const OrderedJson& fields);
  std::optional<int64_t> insert_message(const std::string& id, const OrderedJson& message,
                                        std::optional<int64_t> parent);
  std::optional<OrderedJson> head(const std::string& id);
  OrderedJson messages(const std::string& id);
  std::vector<std::string> ids();
  void require_room() const;
  int64_t remove_rows(const std::string& id);
  void forget();
  void erase_later();

  const fs::path directory_;
  std::mutex mutex_;
  Database database_;
  bool unerased_ = false;  // what was removed is in the file or its log still
};

}  // namespace qkv
