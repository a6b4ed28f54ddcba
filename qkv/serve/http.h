// What a service sees of HTTP: a request that has arrived whole, and the reply that it may write whenever it likes,
// from any thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qkv {

struct HttpRequest {
  std::string method;
  std::string path;  // without the query
  std::string query;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  std::string peer;  // the client's address

  // The header's value; "" where there is none.
  std::string_view header(std::string_view lower_case_name) const;
};

class HttpReply {
 public:
  virtual ~HttpReply() = default;
  using Headers = std::vector<std::pair<std::string, std::string>>;

  // The whole answer at once.
  virtual void send(int status, const std::string& content_type, std::string body, const Headers& headers = {}) = 0;
  // Or piece by piece: begin, any number of writes, end.
  virtual void begin(int status, const std::string& content_type, const Headers& headers = {}) = 0;
  virtual void write(std::string piece) = 0;
  virtual void end() = 0;

  // Called once, from any thread, if the client leaves before the reply's end: nobody reads what is still written. At
  // once where it has left already.
  virtual void on_abandoned(std::function<void()> callback) = 0;
};

using HttpHandler = std::function<void(std::shared_ptr<const HttpRequest>, std::shared_ptr<HttpReply>)>;

}  // namespace qkv
