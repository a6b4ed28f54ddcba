// Conversations over HTTP: the page's memory.
#include "qkv/core/error.h"
#include "qkv/core/hexadecimal.h"
#include "qkv/serve/answers.h"
#include "qkv/serve/conversation_fields.h"
#include "qkv/serve/conversation_store.h"
#include "qkv/serve/fields.h"
#include "qkv/serve/handlers.h"
#include "qkv/serve/worker.h"

namespace qkv {
namespace {

constexpr size_t most_waiting = 256;
constexpr uint64_t longest_import = uint64_t{256} << 20;  // an answer's tokens with their alternatives are many bytes

struct Keeper {
  explicit Keeper(const fs::path& directory) : store(directory), worker(most_waiting) {}
  ConversationStore store;
  Worker worker;  // disks are slow, and the server's threads must not wait
};

// In the order of its keys.
void send(HttpReply& reply, const OrderedJson& value, int status = 200) {
  reply.send(status, "application/json", value.dump(-1, ' ', false, OrderedJson::error_handler_t::replace));
}

// "search=a%20b": the value of a name in a query.
std::string query_value(const std::string& query, const std::string& name) {
  std::string out;
  for (size_t at = 0; at <= query.size();) {
    const size_t end = std::min(query.find('&', at), query.size());
    const std::string part = query.substr(at, end - at);
    at = end + 1;
    if (!part.starts_with(name + "=")) continue;
    for (size_t i = name.size() + 1; i < part.size(); ++i) {
      const auto digit = [&](size_t place) {
        return place < part.size() ? hex_digit(static_cast<unsigned char>(part[place])) : -1;
      };
      if (part[i] == '%' && digit(i + 1) >= 0 && digit(i + 2) >= 0) {
        out += static_cast<char>(digit(i + 1) * 16 + digit(i + 2));
        i += 2;
      } else {
        out += part[i] == '+' ? ' ' : part[i];
      }
    }
  }
  return out;
}

// A disk that is full, or not to be written, is not the client's mistake.
void answer(const Call& call, const std::function<void()>& work) {
  answer_errors(*call.reply, [&] {
    try {
      work();
    } catch (const DatabaseError& error) {
      const bool deletes = call.request->method == "DELETE";
      const std::string hint = error.hint().empty() ? "" : " (" + error.hint() + ")";
      throw ApiError(
          507, fmt::format("Conversations cannot be {}: {}{}.", deletes ? "deleted" : "kept", error.reason(), hint), "",
          deletes ? "not_deleted" : "not_stored");
    }
  });
}

Json deleted(ConversationStore::Removed removed) { return {{"deleted", true}, {"erased", removed.erased}}; }

// Bodies whose fields are checked.
OrderedJson conversation_of(const Call& call, bool is_there) {
  OrderedJson body = parse_body(call.request->body);
  check_conversation(body, is_there);
  return body;
}
OrderedJson message_of(const Call& call) {
  OrderedJson body = parse_body(call.request->body);
  check_message(body);
  return body;
}
OrderedJson export_of(const Call& call) {
  OrderedJson body = parse_body(call.request->body);
  check_export(body);
  return body;
}

const OrderedJson& found(const std::optional<OrderedJson>& value, const std::string& id) {
  if (!value) throw ApiError(404, fmt::format("There is no conversation '{}'.", id.substr(0, 64)), "", "not_found");
  return *value;
}

}  // namespace

void add_conversations(Routes& routes, const fs::path& directory) {
  const auto keeper = std::make_shared<Keeper>(directory);
  const auto add = [&](const char* method, const char* path,
                       std::function<void(ConversationStore&, const Call&)> work) -> Routes::Route& {
    return routes.add(method, path, [keeper, work = std::move(work)](const Call& call) {
      const bool queued =
          keeper->worker.run([keeper = keeper.get(), work, call] { answer(call, [&] { work(keeper->store, call); }); });
      if (!queued) throw overloaded();
    });
  };
  using Store = ConversationStore;
  add("GET", "/conversations", [](Store& store, const Call& call) {
    send(*call.reply, {{"conversations", store.list(query_value(call.request->query, "search"))}});
  });
  add("POST", "/conversations",
      [](Store& store, const Call& call) { send(*call.reply, store.create(conversation_of(call, false)), 201); });
  add("DELETE", "/conversations",
      [](Store& store, const Call& call) { send_json(*call.reply, deleted(store.remove_all())); });
  // These stand before /conversations/{id}: the first route that fits is taken.
  add("GET", "/conversations/export", [](Store& store, const Call& call) { send(*call.reply, store.export_all()); });
  add("POST", "/conversations/import", [](Store& store, const Call& call) {
    send(*call.reply, {{"imported", store.import_all(export_of(call))}});
  }).longest_body = longest_import;
  add("GET", "/conversations/{id}", [](Store& store, const Call& call) {
    const std::string& id = call.values.at("id");
    send(*call.reply, found(store.read(id), id));
  });
  add("PATCH", "/conversations/{id}", [](Store& store, const Call& call) {
    const std::string& id = call.values.at("id");
    send(*call.reply, found(store.change(id, conversation_of(call, true)), id));
  });
  add("DELETE", "/conversations/{id}", [](Store& store, const Call& call) {
    const std::string& id = call.values.at("id");
    const Store::Removed removed = store.remove(id);
    if (!removed.there) found({}, id);
    send_json(*call.reply, deleted(removed));
  });
  add("POST", "/conversations/{id}/messages", [](Store& store, const Call& call) {
    const std::string& id = call.values.at("id");
    send(*call.reply, found(store.add(id, message_of(call)), id), 201);
  });
}

}  // namespace qkv
