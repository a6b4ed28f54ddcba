// The HTTP API over a store of models: who may ask, which handler answers, and what is noted of it.
#pragma once

#include "qkv/serve/metrics.h"
#include "qkv/serve/model_store.h"
#include "qkv/serve/request_pool.h"
#include "qkv/serve/routes.h"

#include <functional>
#include <string>
#include <vector>

namespace qkv {

struct ServiceOptions {
  std::vector<std::string> api_keys;  // none: everybody may ask
  std::vector<std::string> origins;   // of pages elsewhere that browsers may let ask; "*": all
  // The names by which clients may call the server ("localhost"); none: any. Against pages elsewhere whose name comes
  // to mean this machine (DNS rebinding).
  std::vector<std::string> hosts;
  std::function<void(const std::string& line)> log;  // a JSON object for each request, without texts; none: no log
  bool log_bodies = false;                           // with texts: the beginning of each body that was let in
};

class Service {
 public:
  // The models must outlive it.
  Service(const ServiceOptions& options, ModelStore& models);

  // To be given to an HttpServer. The service must outlive that.
  HttpHandler handler();
  // For HttpOptions::longer_body: only who may ask may send much.
  uint64_t longer_body(const HttpRequest& head) const;
  // For more of them.
  Routes& routes() { return routes_; }

 private:
  void answer(Call call);
  void handle(const Routes::Route& route, Call call);
  void add_status(ModelStore& models);

  ServiceOptions options_;
  Routes routes_;
  std::shared_ptr<Metrics> metrics_ = std::make_shared<Metrics>();
  RequestPool pool_;
};

}  // namespace qkv
