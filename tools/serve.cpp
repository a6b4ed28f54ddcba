// qkv serve MODEL...: models behind an HTTP API.
#include "qkv/core/error.h"
#include "qkv/core/files.h"
#include "qkv/generate/cache_type.h"
#include "qkv/serve/handlers.h"
#include "qkv/serve/http_server.h"
#include "qkv/serve/service.h"
#include "tools/commands.h"
#include "tools/support/cache_option.h"
#include "tools/support/checks.h"
#include "tools/support/draft_options.h"
#include "tools/support/dtype_option.h"
#include "tools/support/signals.h"
#include "tools/support/user_data.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <future>
#include <sstream>
#include <thread>

namespace qkv {
namespace {

struct ServeCommand {
  std::vector<std::string> models;
  HttpOptions http;
  ServiceOptions service;
  ModelOptions model;
  std::string key_file, data;
  std::string dtype = "auto", cache;
  DraftOptions drafts;
  double memory = 0;  // GB
  int64_t drain = 30;
  bool quiet = false;
};

// Of the option, the file and the environment.
std::vector<std::string> keys_of(const ServeCommand& options) {
  std::vector<std::string> keys = options.service.api_keys;
  std::istringstream lines(options.key_file.empty() ? "" : read_file(options.key_file));
  for (std::string line; std::getline(lines, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) line.pop_back();
    if (!line.empty()) keys.push_back(line);
  }
  if (const char* key = std::getenv("QKV_API_KEY"); key != nullptr && *key != '\0') keys.emplace_back(key);
  for (const std::string& key : keys)
    if (key.empty()) throw Error("--api-key", "must not be empty");
  return keys;
}

// The first model is loaded before anybody asks: what is wrong with it is said at once.
void load_first(ModelStore& models) {
  const std::shared_ptr<Lease> lease = models.lease("");
  std::promise<void> loaded;
  lease->model().run([&] {
    try {
      lease->enter();
      lease->model().load();
      loaded.set_value();
    } catch (...) {
      loaded.set_exception(std::current_exception());
    }
  });
  loaded.get_future().get();
}

// Conversations are kept unless the user says no. Where nobody chose the place, one that fails is no reason not to
// serve.
void keep_conversations(Service& service, const std::string& data) {
  if (data == "none") return;
  if (!data.empty()) return add_conversations(service.routes(), data);
  try {
    const fs::path place = user_data_directory();
    if (place.empty()) throw Error("HOME", "is not set", "name a place with --data DIR, or none with --data none");
    add_conversations(service.routes(), place);
  } catch (const Error& error) {
    fmt::print(stderr, "note: conversations are not kept: [{}] {}; {}\n", error.where(), error.reason(), error.hint());
  }
}

bool is_loopback(const std::string& host) { return host == "localhost" || host == "::1" || host.starts_with("127."); }

void serve(ServeCommand& options) {
  const std::atomic<bool>& stop = stop_requested();
  ModelOptions& model = options.model;
  model.as_stored = options.dtype == "auto";
  if (!model.as_stored) model.engine.compute = dtype_named(options.dtype);
  model.engine.cache = cache_type_named(options.cache);
  model.draft = options.drafts.model;
  model.engine.drafts = options.drafts.count();
  model.on_failure = [](const ServedModel& failed, const Error& error) {
    fmt::print(stderr, "note: {} cannot be loaded: {}\n", failed.name(), error.what());
  };
  ModelStore models(options.models, model, static_cast<uint64_t>(options.memory * 1e9));

  ServiceOptions& service_options = options.service;
  service_options.api_keys = keys_of(options);
  const bool open = service_options.api_keys.empty();
  if (open && !is_loopback(options.http.host))
    fmt::print(stderr, "note: [--host] everybody who can reach {} may use this server; --api-key asks for a key\n",
               options.http.host);
  if (open && is_loopback(options.http.host))
    service_options.hosts = {"localhost", "127.0.0.1", "[::1]", options.http.host};
  if (!options.quiet) service_options.log = [](const std::string& line) { fmt::print(stderr, "{}\n", line); };
  load_first(models);
  Service service(service_options, models);
  keep_conversations(service, options.data);
  options.http.longer_body = [&service](const HttpRequest& head) { return service.longer_body(head); };
  HttpServer server(options.http, service.handler());

  const std::string host =
      options.http.host.find(':') != std::string::npos ? "[" + options.http.host + "]" : options.http.host;
  std::string names;
  for (const auto& each : models.all()) names += (names.empty() ? "" : ", ") + each->name();
  const char* scheme = options.http.tls_certificate.empty() ? "http" : "https";
  fmt::print("serving {} at {}://{}:{}\n", names, scheme, host, server.port());
  std::fflush(stdout);
  while (!stop) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  fmt::print(stderr, "stopping: no new requests; those under way have {} s\n", options.drain);
  server.drain(std::chrono::seconds(options.drain));
}

}  // namespace

void add_serve(CLI::App& app) {
  CLI::App* command = app.add_subcommand("serve", "offer models over HTTP, as OpenAI's API does");
  command->group("Models");
  auto o = std::make_shared<ServeCommand>();
  command
      ->add_option("model", o->models,
                   "model directories or GGUF files, as PATH or NAME=PATH; the first is loaded at once, others when "
                   "they are asked for")
      ->required()
      ->type_name("MODEL");
  std::string group = "Options";
  const auto add = [&](const char* name, auto& value, const char* help) {
    return command->add_option(name, value, help)->capture_default_str()->group(group);
  };
  const auto several = [&](const char* name, std::vector<std::string>& values, const char* kind, const char* help) {
    command->add_option(name, values, help)
        ->type_name(kind)
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->group(group);
  };
  EngineOptions& e = o->model.engine;
  e.context = 0;
  add("--host", o->http.host, "the address to listen at; 0.0.0.0: all of this machine's");
  add("--port", o->http.port, "0: any free one");
  add("--context", e.context, "tokens of a text, prompt and answer together (0: as the model has it, at most 4096)")
      ->check(at_least(0));
  add("--max-batch", e.max_batch, "so many texts are written together")->check(at_least(1));
  add_dtype_option(*command, o->dtype);
  add_cache_option(*command, o->cache)->group(group);
  add("--memory", o->memory,
      "GB that all models together may take: the longest unused are unloaded (0: four fifths of the machine's)")
      ->check(not_negative());
  add("--data", o->data,
      "where conversations are kept (default: $XDG_DATA_HOME/qkv or ~/.local/share/qkv); none: nowhere")
      ->type_name("DIR");
  add_threads_option(*command);
  add_device_option(*command);

  group = "Who may ask";
  several("--api-key", o->service.api_keys, "KEY",
          "a key that clients must show; may be given several times; also from QKV_API_KEY");
  add("--api-key-file", o->key_file, "keys, one a line")->type_name("FILE");
  several("--cors", o->service.origins, "ORIGIN",
          "let pages from there use this server in browsers (*: all); may be given several times");
  add("--tls-cert", o->http.tls_certificate, "serve HTTPS with this certificate, or chain of them (PEM)")
      ->type_name("FILE");
  add("--tls-key", o->http.tls_key, "its private key (PEM, without a password)")->type_name("FILE");

  group = "Speed";
  add_draft_options(*command, o->drafts, group);
  add("--prompt-chunk", e.prompt_chunk, "tokens of prompts that are read at once")->check(at_least(1));
  command
      ->add_flag("--deterministic", e.deterministic, "an answer's bits do not depend on what else is written; slower")
      ->group(group);

  group = "Limits";
  add("--max-waiting", e.max_waiting, "requests that wait; more are refused with status 429")->check(at_least(1));
  add("--max-connections", o->http.max_connections, "connections at a time")->check(at_least(1));
  add("--max-body", o->http.max_body, "bytes of a request")->check(at_least(1));
  add("--drain", o->drain, "seconds that requests under way have when the server is told to stop")->check(at_least(0));

  group = "Log";
  command->add_flag("-q,--quiet", o->quiet, "no line on standard error for each request")->group(group);
  command
      ->add_flag("--log-prompts", o->service.log_bodies,
                 "the lines tell what was asked, too: the first 2000 bytes of each body")
      ->group(group);
  command->footer(
      "Examples:\n  qkv serve runs/notes\n"
      "  qkv serve models/qwen2.5-0.5b-q8_0.gguf bert=models/bert-base-uncased --port 8080\n"
      "  curl http://127.0.0.1:8080/v1/completions -d '{\"prompt\": \"Once\", \"max_tokens\": 20}'\n"
      "What is written where: docs/serving.md");
  allow_config(*command);
  command->callback([command, o] {
    apply_config(*command);
    serve(*o);
  });
}

}  // namespace qkv
