#include "serve/openai.h"

#include <atomic>
#include <ctime>
#include <fmt/format.h>
#include <httplib.h>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/units.h"
#include "formats/json.h"
#include "serve/completion.h"

namespace safesail {
namespace {

constexpr std::size_t kThreads = 16;  // that wait; one generates

std::string dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void refuse(httplib::Response& response, int status, std::string_view message,
            std::string_view type = "invalid_request_error", std::string_view code = {}) {
  response.status = status;
  const Json error{{"message", message},
                   {"type", type},
                   {"param", nullptr},
                   {"code", code.empty() ? Json() : Json(code)}};
  response.set_content(dump({{"error", error}}), "application/json");
}

Json bytes_of(std::string_view text) {
  Json bytes = Json::array();
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  return bytes;
}

Json logprob_of(const CompletionPiece& piece) {
  Json top = Json::array();
  for (const auto& [text, logprob] : piece.alternatives)
    top.push_back({{"token", text}, {"logprob", logprob}, {"bytes", bytes_of(text)}});
  return {{"token", piece.text},
          {"logprob", piece.logprob},
          {"bytes", bytes_of(piece.text)},
          {"top_logprobs", top}};
}

Json usage_of(const CompletionEnd& end) {
  return {{"prompt_tokens", end.n_prompt},
          {"completion_tokens", end.n_new},
          {"total_tokens", end.n_prompt + end.n_new}};
}

std::string finish_of(const CompletionEnd& end) {
  return end.cut_short ? "length" : "stop";
}

/// Not in a time that depends on how much is right.
bool same(std::string_view a, std::string_view b) {
  unsigned differs = a.size() != b.size();
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i)
    differs |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  return differs == 0;
}

bool is_loopback(std::string_view host) {
  const bool is_number = host.find_first_not_of("0123456789.") == host.npos;
  return (is_number && host.starts_with("127.")) || host == "localhost" || host == "::1" ||
         host == "[::1]";
}

}  // namespace

struct OpenAiServer::Impl {
  Impl(const TextModel& model_, OpenAiServerOptions options_, Reporter& reporter_)
      : model(model_),
        options(std::move(options_)),
        reporter(reporter_),
        created(std::time(nullptr)) {}

  const TextModel& model;
  const OpenAiServerOptions options;
  Reporter& reporter;
  const std::time_t created;
  int port = 0;
  httplib::Server server;
  std::stop_source ending;
  std::mutex engine;  // held while tokens are made
  std::atomic<std::uint64_t> n_completions = 0;

  bool may_ask(const httplib::Request& request, httplib::Response& response) const;
  void list_models(httplib::Response& response) const;
  void chat(const httplib::Request& request, httplib::Response& response);
  void whole(const CompletionRequest& request, httplib::Response& response);
  void streamed(const CompletionRequest& request, httplib::Response& response);
  Json head(const char* object);
};

bool OpenAiServer::Impl::may_ask(const httplib::Request& request,
                                 httplib::Response& response) const {
  // A page whose name was made to point here still sends its own name.
  std::string host = request.get_header_value("Host");
  if (const auto colon = host.rfind(':'); colon != host.npos && host.find(']', colon) == host.npos)
    host.resize(colon);
  if (is_loopback(options.host) && !is_loopback(host)) {
    refuse(response, 403, "this endpoint answers this machine only");
    return false;
  }
  if (!options.key.empty() && !same("Authorization: " + request.get_header_value("Authorization"),
                                    options.key.authorization())) {
    refuse(response, 401, "expected the key of this endpoint", "authentication_error",
           "invalid_api_key");
    return false;
  }
  return true;
}

void OpenAiServer::Impl::list_models(httplib::Response& response) const {
  const Json entry{{"id", options.model_name},
                   {"object", "model"},
                   {"created", created},
                   {"owned_by", "safesail"}};
  response.set_content(dump({{"object", "list"}, {"data", Json::array({entry})}}),
                       "application/json");
}

Json OpenAiServer::Impl::head(const char* object) {
  return {{"id", fmt::format("chatcmpl-{}-{}", created, ++n_completions)},
          {"object", object},
          {"created", std::time(nullptr)},
          {"model", options.model_name}};
}

void OpenAiServer::Impl::chat(const httplib::Request& http, httplib::Response& response) {
  if (!http.get_header_value("Content-Type").starts_with("application/json"))
    return refuse(response, 415, "expected a body of type application/json");
  try {
    const CompletionRequest request = parse_completion_request(http.body);
    if (!request.model.empty() && request.model != options.model_name)
      return refuse(response, 404,
                    fmt::format("the model here is {}", printable(options.model_name)),
                    "invalid_request_error", "model_not_found");
    request.stream ? streamed(request, response) : whole(request, response);
  } catch (const Error& error) {
    refuse(response, error.fault() == Fault::input ? 400 : 500,
           fmt::format("{}; {}", error.problem(), error.remedy()),
           error.fault() == Fault::input ? "invalid_request_error" : "server_error");
  }
}

void OpenAiServer::Impl::whole(const CompletionRequest& request, httplib::Response& response) {
  std::string content;
  Json logprobs = Json::array();
  const auto take = [&](const CompletionPiece& piece) {
    content += piece.text;
    if (request.n_alternatives) logprobs.push_back(logprob_of(piece));
    return true;
  };
  const std::scoped_lock lock(engine);
  CompletionEnd end;
  if (request.form) {
    const FilledForm form = fill_form(model, request);
    for (const CompletionPiece& piece : form.pieces) take(piece);
    end.n_prompt = form.n_tokens;
  } else {
    end = complete(model, request, take, ending.get_token());
  }
  if (ending.stop_requested()) return refuse(response, 503, "the server is ending", "server_error");
  Json choice{{"index", 0},
              {"message", {{"role", "assistant"}, {"content", content}, {"refusal", nullptr}}},
              {"logprobs", nullptr},
              {"finish_reason", finish_of(end)}};
  if (request.n_alternatives) choice["logprobs"] = {{"content", logprobs}, {"refusal", nullptr}};
  Json body = head("chat.completion");
  body["choices"] = Json::array({choice});
  body["usage"] = usage_of(end);
  response.set_content(dump(body), "application/json");
}

void OpenAiServer::Impl::streamed(const CompletionRequest& request, httplib::Response& response) {
  const auto write = [this, request, chunk = head("chat.completion.chunk")](
                         std::size_t, httplib::DataSink& sink) mutable {
    const auto send = [&](const std::string& data) {
      const std::string event = "data: " + data + "\n\n";
      return sink.write(event.data(), event.size());
    };
    const auto send_choice = [&](const Json& delta, const Json& logprobs, const Json& finish) {
      chunk["choices"] = Json::array(
          {{{"index", 0}, {"delta", delta}, {"logprobs", logprobs}, {"finish_reason", finish}}});
      return send(dump(chunk));
    };
    try {
      const std::scoped_lock lock(engine);
      send_choice({{"role", "assistant"}, {"content", ""}}, nullptr, nullptr);
      const CompletionEnd end = complete(
          model, request,
          [&](const CompletionPiece& piece) {
            const Json logprobs = request.n_alternatives
                                      ? Json{{"content", Json::array({logprob_of(piece)})}}
                                      : Json();
            return send_choice({{"content", piece.text}}, logprobs, nullptr);
          },
          ending.get_token());
      send_choice(Json::object(), nullptr, finish_of(end));
      if (request.stream_usage) {
        chunk["choices"] = Json::array();
        chunk["usage"] = usage_of(end);
        send(dump(chunk));
      }
      send("[DONE]");
    } catch (const std::exception& error) {
      // The status is sent already: the fault goes where the next piece would.
      const auto* ours = dynamic_cast<const Error*>(&error);
      send(dump({{"error",
                  {{"message", ours != nullptr ? ours->problem() : "internal fault"},
                   {"type", "server_error"}}}}));
    }
    sink.done();
    return true;
  };
  response.set_chunked_content_provider("text/event-stream", write);
}

OpenAiServer::OpenAiServer(const TextModel& model, const OpenAiServerOptions& options,
                           Reporter& reporter)
    : impl_(std::make_unique<Impl>(model, options, reporter)) {
  httplib::Server& server = impl_->server;
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server.set_payload_max_length(options.max_body_bytes);
  server.set_pre_routing_handler([this](const auto& request, auto& response) {
    return impl_->may_ask(request, response) ? httplib::Server::HandlerResponse::Unhandled
                                             : httplib::Server::HandlerResponse::Handled;
  });
  server.Get("/v1/models", [this](const auto&, auto& response) { impl_->list_models(response); });
  server.Post("/v1/chat/completions",
              [this](const auto& request, auto& response) { impl_->chat(request, response); });
  server.set_exception_handler([this](const auto&, auto& response, std::exception_ptr) {
    impl_->reporter.warn("a request met a fault inside");
    refuse(response, 500, "internal fault", "server_error");
  });
  server.set_error_handler([](const auto&, auto& response) {
    if (response.body.empty())
      refuse(response, response.status, fmt::format("HTTP {}", response.status));
  });
  const bool bound = options.port == 0
                         ? (impl_->port = server.bind_to_any_port(options.host)) > 0
                         : server.bind_to_port(options.host, impl_->port = options.port);
  if (!bound)
    failed(fmt::format("{}:{}", options.host, options.port),
           "expected an address that is free, got one that is not",
           "choose another --port or --host");
  if (!is_loopback(options.host) && options.key.empty())
    reporter.warn("whoever reaches this port can use the model: there is no key");
}

OpenAiServer::~OpenAiServer() = default;

int OpenAiServer::port() const {
  return impl_->port;
}

void OpenAiServer::run(std::stop_token stop) {
  std::atomic<bool> listens = true, wake = false;
  const auto rouse = [&] {
    wake = true;
    wake.notify_all();
  };
  std::thread listening([&] {
    impl_->server.listen_after_bind();
    listens = false;
    rouse();
  });
  {
    const std::stop_callback on_stop(stop, rouse);
    wake.wait(false);
  }
  impl_->ending.request_stop();
  // A server that does not run yet cannot be stopped.
  while (listens && !impl_->server.is_running()) std::this_thread::yield();
  impl_->server.stop();
  listening.join();
}

}  // namespace safesail
