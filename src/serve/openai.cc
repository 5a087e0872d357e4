#include "serve/openai.h"

#include <atomic>
#include <ctime>
#include <fmt/format.h>
#include <mutex>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "formats/field_error.h"
#include "formats/json.h"
#include "serve/answer_form.h"
#include "serve/completion.h"
#include "serve/completion_request.h"
#include "serve/http_answer.h"
#include "serve/http_server.h"

namespace safesail {
namespace {

constexpr const char* kModelNotFound = "model_not_found";

/// A refusal as such clients expect it.
std::string error_body(const Refusal& refusal) {
  const bool no_key = refusal.code == "unauthorized";
  Json code;
  if (no_key) code = "invalid_api_key";
  if (refusal.code == kModelNotFound || refusal.code == kTooLong) code = refusal.code;
  return dump_json(Json{{"error",
                         {{"message", refusal.message + "; " + refusal.remedy},
                          {"type", no_key                  ? "authentication_error"
                                   : refusal.status >= 500 ? "server_error"
                                                           : "invalid_request_error"},
                          {"param", refusal.field.empty() ? Json() : Json(refusal.field)},
                          {"code", code}}}});
}

Json bytes_of(std::string_view text) {
  Json bytes = Json::array();
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  return bytes;
}

/// A token that is part of a character has no text: its bytes stand for it, as in OpenAI's answers.
std::string text_of(const std::string& bytes) {
  if (is_utf8(bytes)) return bytes;
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    byte < 0x80 ? text += c : text += fmt::format("\\x{:02x}", byte);
  }
  return text;
}

/// Nothing for a piece of no token.
Json logprobs_of(const CompletionPiece& piece) {
  if (piece.bytes.empty() && !piece.text.empty()) return Json::array();
  Json top = Json::array();
  for (const auto& [bytes, logprob] : piece.alternatives)
    top.push_back({{"token", text_of(bytes)}, {"logprob", logprob}, {"bytes", bytes_of(bytes)}});
  return Json::array({{{"token", text_of(piece.bytes)},
                       {"logprob", piece.logprob},
                       {"bytes", bytes_of(piece.bytes)},
                       {"top_logprobs", top}}});
}

Json usage_of(const CompletionEnd& end) {
  return {{"prompt_tokens", end.n_prompt},
          {"completion_tokens", end.n_new},
          {"total_tokens", end.n_prompt + end.n_new},
          {"prompt_tokens_details", {{"cached_tokens", end.n_known}}},
          {"completion_tokens_details", {{"reasoning_tokens", end.n_thought}}}};
}

std::string finish_of(const CompletionEnd& end) {
  return end.cut_short ? "length" : "stop";
}

Refusal ending_refusal() {
  return {503, "unavailable", "the server is ending", "ask again when it is back"};
}

/// A fault where the status is sent already: it goes where the next piece would.
std::string fault_body(const std::exception& fault) {
  const std::optional<Refusal> refusal = refusal_for(fault);
  return error_body(refusal ? *refusal : internal_fault());
}

}  // namespace

struct OpenAiServer::Impl {
  Impl(const TextModel& model_, const OpenAiServerOptions& options, Reporter& reporter)
      : model(model_),
        model_name(options.model_name),
        created(std::time(nullptr)),
        openings(model_.model, options.prefix_bytes.value_or(available_memory_bytes() / 8)),
        generator(model_.model, openings, options.max_active),
        choices(model_.model, openings),
        server({.host = options.host,
                .port = options.port,
                .token = options.key,
                .open = true,
                .help = "ask POST /v1/chat/completions or GET /v1/models",
                .limits = {.request_bytes = options.max_body_bytes}},
               reporter, error_body) {}

  const TextModel& model;
  const std::string model_name;
  const std::time_t created;
  PrefixCache openings;  // used while the generator is held, as the reader of choices is
  SharedGenerator generator;
  ChoiceReader choices;
  HttpServer server;
  std::stop_source ending;
  std::atomic<std::uint64_t> n_completions = 0;
  std::once_flag first_constraint;
  std::optional<ConstraintVocabulary> vocabulary;  // made for the first that asks for a form

  Json entry() const;
  void require_name(const std::string& name) const;
  CompletionStart start_of(const CompletionRequest& request);
  void chat(const httplib::Request& request, httplib::Response& response);
  void whole(const httplib::Request& http, const CompletionRequest& request,
             httplib::Response& response);
  void streamed(const CompletionRequest& request, httplib::Response& response);
  Json head(const char* object);
};

Json OpenAiServer::Impl::entry() const {
  return {{"id", model_name}, {"object", "model"}, {"created", created}, {"owned_by", "safesail"}};
}

Json OpenAiServer::Impl::head(const char* object) {
  return {{"id", fmt::format("chatcmpl-{}-{}", created, ++n_completions)},
          {"object", object},
          {"created", std::time(nullptr)},
          {"model", model_name}};
}

void OpenAiServer::Impl::require_name(const std::string& name) const {
  if (name == model_name) return;
  Refusal refusal(404, kModelNotFound, fmt::format("the model here is {}", printable(model_name)),
                  "ask for it, or name none");
  refusal.field = "model";
  throw refusal;
}

/// What is wrong with the request is known when it is made.
CompletionStart OpenAiServer::Impl::start_of(const CompletionRequest& request) {
  CompletionStart start{completion_prompt(model, request)};
  if (!request.constraint) return start;
  std::call_once(first_constraint,
                 [&] { vocabulary.emplace(model.tokenizer, model.model.spec().eos); });
  const ConstraintRequest& asked = *request.constraint;
  start.constraint = at_field(asked.field, [&] {
    return std::make_shared<Constraint>(*vocabulary, asked.source, "request: " + asked.field);
  });
  return start;
}

void OpenAiServer::Impl::chat(const httplib::Request& http, httplib::Response& response) {
  const CompletionRequest request = parse_completion_request(http.body);
  if (!request.model.empty()) require_name(request.model);
  request.stream ? streamed(request, response) : whole(http, request, response);
}

void OpenAiServer::Impl::whole(const httplib::Request& http, const CompletionRequest& request,
                               httplib::Response& response) {
  const auto is_wanted = [&] { return !ending.stop_requested() && server.client_is_there(http); };
  std::string content;
  Json logprobs = Json::array();
  const auto take = [&](const CompletionPiece& piece) {
    content += piece.text;
    if (request.n_alternatives)
      for (Json& one : logprobs_of(piece)) logprobs.push_back(std::move(one));
    return true;
  };
  CompletionEnd end;
  if (request.form) {
    const std::unique_lock alone = generator.hold();
    if (!is_wanted()) throw Refusal(503, "unavailable", "nobody waits any more", "ask again");
    const FilledForm form = fill_form(model, choices, request);
    for (const CompletionPiece& piece : form.pieces) take(piece);
    end.n_prompt = form.n_prompt;
    end.n_new = form.n_form;
    end.n_known = form.n_known;
  } else {
    end = complete(model, generator, request, start_of(request), take, is_wanted);
  }
  if (ending.stop_requested()) throw ending_refusal();
  Json choice{{"index", 0},
              {"message", {{"role", "assistant"}, {"content", content}, {"refusal", nullptr}}},
              {"logprobs", nullptr},
              {"finish_reason", finish_of(end)}};
  if (request.n_alternatives) choice["logprobs"] = {{"content", logprobs}, {"refusal", nullptr}};
  Json body = head("chat.completion");
  body["choices"] = Json::array({choice});
  body["usage"] = usage_of(end);
  send_json(response, body);
}

void OpenAiServer::Impl::streamed(const CompletionRequest& request, httplib::Response& response) {
  // What is wrong with it is said before the status is sent.
  const auto write = [this, request, start = start_of(request),
                      chunk = head("chat.completion.chunk")](std::size_t,
                                                             httplib::DataSink& sink) mutable {
    const auto send = [&](const std::string& data) {
      const std::string event = "data: " + data + "\n\n";
      return sink.write(event.data(), event.size());
    };
    const auto send_choice = [&](const Json& delta, const Json& logprobs, const Json& finish) {
      chunk["choices"] = Json::array(
          {{{"index", 0}, {"delta", delta}, {"logprobs", logprobs}, {"finish_reason", finish}}});
      return send(dump_json(chunk));
    };
    try {
      send_choice({{"role", "assistant"}, {"content", ""}}, nullptr, nullptr);
      const CompletionEnd end = complete(
          model, generator, request, std::move(start),
          [&](const CompletionPiece& piece) {
            const Json logprobs =
                request.n_alternatives ? Json{{"content", logprobs_of(piece)}} : Json();
            return send_choice({{"content", piece.text}}, logprobs, nullptr);
          },
          [&] { return !ending.stop_requested() && sink.is_writable(); });
      if (ending.stop_requested()) throw ending_refusal();
      send_choice(Json::object(), nullptr, finish_of(end));
      if (request.stream_usage) {
        chunk["choices"] = Json::array();
        chunk["usage"] = usage_of(end);
        send(dump_json(chunk));
      }
      send("[DONE]");
    } catch (const std::exception& fault) {
      send(fault_body(fault));
    }
    sink.done();
    return true;
  };
  response.set_chunked_content_provider("text/event-stream", write);
}

OpenAiServer::OpenAiServer(const TextModel& model, const OpenAiServerOptions& options,
                           Reporter& reporter)
    : impl_(std::make_unique<Impl>(model, options, reporter)) {
  if (!model.tokenizer.chat_template())
    bad_input(options.model_name, "expected a model with a chat template, got one without",
              "use a model that was trained to answer (\"instruct\", \"chat\", \"it\")");
  HttpServer& server = impl_->server;
  server.get("/v1/models", [this](const auto&, auto& response) {
    send_json(response, {{"object", "list"}, {"data", Json::array({impl_->entry()})}});
  });
  // A name may hold slashes.
  server.get("/v1/models/{name...}", [this](const auto& request, auto& response) {
    impl_->require_name(request.matches[1]);
    send_json(response, impl_->entry());
  });
  server.post("/v1/chat/completions",
              [this](const auto& request, auto& response) { impl_->chat(request, response); });
  if (!is_loopback(options.host) && options.key.empty())
    reporter.warn("whoever reaches this port can use the model: there is no key");
}

OpenAiServer::~OpenAiServer() = default;

int OpenAiServer::port() const {
  return impl_->server.port();
}

void OpenAiServer::run(std::stop_token stop) {
  const std::stop_callback on_stop(stop, [this] { impl_->ending.request_stop(); });
  impl_->server.run(stop);
}

}  // namespace safesail
