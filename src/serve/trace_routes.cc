#include "serve/trace_routes.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "diagnose/trace_json.h"
#include "serve/chat_stream.h"
#include "serve/http_answer.h"
#include "serve/query_parameters.h"
#include "serve/trace_request.h"

namespace safesail {
namespace {

using Tickets = std::vector<std::unique_ptr<Engine::Ticket>>;

Tickets submit(Engine& engine, std::vector<EngineRequest> requests) {
  Tickets tickets = engine.submit(std::move(requests));
  if (tickets.empty()) throw Refusal(503, "busy", "the queue is full", "try again in some seconds");
  return tickets;
}

Tickets submit(Engine& engine, EngineRequest request) {
  std::vector<EngineRequest> one;
  one.push_back(std::move(request));
  return submit(engine, std::move(one));
}

/// The prompt as the model reads it.
TracePrompt read_prompt(const Tokenizer& tokenizer, const AskedPrompt& asked) {
  if (const auto* text = std::get_if<std::string>(&asked)) return prompt_of_text(tokenizer, *text);
  const auto& chat = std::get<AskedMessages>(asked);
  return prompt_of_messages(tokenizer, chat.messages, chat.add_generation_prompt,
                            chat.template_arguments);
}

/// A request that has been served: prompt and answer as one trace.
struct Served {
  Trace trace;
  std::size_t n_prompt = 0;
  double seconds = 0;

  std::string response() const {
    return n_prompt == trace.tokens.size() ? std::string()
                                           : trace.text.substr(trace.tokens[n_prompt].start);
  }
};

/// How soon a visitor who is gone is noticed.
constexpr std::chrono::milliseconds kBetweenLooks{500};

/// `is_there`: whether the visitor still waits; a refusal that nobody reads once he does not.
Served wait_for(Engine::Ticket& ticket, const std::function<bool()>& is_there) {
  Served served;
  while (true) {
    std::optional<EngineEvent> event = ticket.next(kBetweenLooks);
    if (!is_there()) throw Refusal(503, "unavailable", "nobody waits any more", "ask again");
    if (!event) continue;
    if (auto* started = std::get_if<Started>(&*event)) {
      served.trace = std::move(started->trace);
      served.n_prompt = served.trace.tokens.size();
    } else if (auto* token = std::get_if<NewToken>(&*event)) {
      served.trace.text += token->text;
      served.trace.tokens.push_back(std::move(token->token));
    } else if (auto* features = std::get_if<NewFeatures>(&*event)) {
      std::ranges::move(features->added, std::back_inserter(served.trace.features));
      for (auto& [position, list] : features->tokens)
        served.trace.tokens.at(static_cast<std::size_t>(position)).features = std::move(list);
    } else if (const auto* ended = std::get_if<Ended>(&*event)) {
      served.seconds = ended->seconds;
      return served;
    } else {
      throw refusal_of(std::get<Failed>(*event).error);
    }
  }
}

/// The answers' part is null where none was asked for.
Json compare_json(const Subject& subject, const AskedComparison& request, const Tickets& tickets,
                  const std::function<bool()>& is_there) {
  Json traces = Json::array();
  std::vector<Trace> served;
  for (std::size_t i = 0; i < tickets.size(); ++i) {
    Served one = wait_for(*tickets[i], is_there);
    Json json = json_of(one.trace);
    json["label"] = request.prompts[i].label;
    json["response"] = one.response();
    json["seconds"] = one.seconds;
    traces.push_back(std::move(json));
    served.push_back(std::move(one.trace));
  }
  Json json{{"model", subject.name},
            {"traces", std::move(traces)},
            {"question", json_of(compare_traces(served, TracePart::question))},
            {"answer", nullptr}};
  if (request.generation.max_new_tokens > 0)
    json["answer"] = json_of(compare_traces(served, TracePart::answer));
  return json;
}

Json models_json(const Subject& subject) {
  const ModelSpec& spec = subject.model.model.spec();
  const bool is_bf16 = subject.model.model.options().dtype == ComputeType::bf16;
  const Json model{{"name", subject.name},
                   {"family", spec.family},
                   {"n_layers", spec.n_layers},
                   {"d_model", spec.d_model},
                   {"vocab_size", spec.vocab_size},
                   {"max_positions", spec.max_positions},
                   {"dtype", is_bf16 ? "bf16" : "f32"},
                   {"chat", subject.model.tokenizer.chat_template().has_value()}};
  return {{"models", Json::array({model})}};
}

}  // namespace

void mount_trace_routes(HttpServer& server, const Subject& subject, Engine& engine,
                        std::function<void()> before_asking) {
  const Tokenizer& tokenizer = subject.model.tokenizer;
  server.get("/api/v1/models", [&](const auto& http, auto& response) {
    const QueryParameters none(http.params, {});
    send_json(response, models_json(subject));
  });
  server.post("/api/v1/trace", [&, before_asking](const auto& http, auto& response) {
    before_asking();
    AskedTrace request = parse_trace_request(http.body);
    SequenceConfig no_answer;
    no_answer.max_new_tokens = 0;
    const Tickets tickets = submit(
        engine, {read_prompt(tokenizer, request.prompt), std::move(request.options), no_answer});
    const Served served = wait_for(*tickets.front(), [&] { return server.client_is_there(http); });
    Json json = json_of(served.trace);
    json["model"] = subject.name;
    json["seconds"] = served.seconds;
    send_json(response, json);
  });
  server.post("/api/v1/chat", [&, before_asking](const auto& http, auto& response) {
    before_asking();
    AskedChat request = parse_chat_request(http.body);
    Tickets tickets = submit(engine, {read_prompt(tokenizer, request.prompt),
                                      std::move(request.options), request.generation});
    stream_chat(subject.name, std::move(tickets.front()), response);
  });
  server.post("/api/v1/compare", [&, before_asking](const auto& http, auto& response) {
    before_asking();
    const AskedComparison request = parse_compare_request(http.body);
    std::vector<EngineRequest> requests;
    for (const AskedComparison::Prompt& prompt : request.prompts)
      requests.push_back(
          {read_prompt(tokenizer, prompt.prompt), request.options, request.generation});
    const Tickets tickets = submit(engine, std::move(requests));
    send_json(response, compare_json(subject, request, tickets,
                                     [&] { return server.client_is_there(http); }));
  });
}

void mount_no_model(HttpServer& server) {
  server.get("/api/v1/models", [](const auto& http, auto& response) {
    const QueryParameters none(http.params, {});
    send_json(response, {{"models", Json::array()}});
  });
  for (const char* path : {"/api/v1/trace", "/api/v1/chat", "/api/v1/compare"})
    server.post(path, [](const auto&, auto&) {
      throw Refusal(503, "unavailable", "there is no model here to ask",
                    "start the server with a run, or with --model and --sae");
    });
}

}  // namespace safesail
