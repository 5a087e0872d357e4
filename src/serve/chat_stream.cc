#include "serve/chat_stream.h"

#include <utility>

#include "diagnose/trace_json.h"
#include "formats/json.h"
#include "serve/http_answer.h"

namespace safesail {
namespace {

/// How often a visitor who waits hears of it; also how soon one who is gone is noticed.
constexpr std::chrono::milliseconds kBetweenSigns{500};

const char* name_of(SequenceEnd end) {
  switch (end) {
    case SequenceEnd::stop_token:
      return "stop";
    case SequenceEnd::length:
      return "length";
    case SequenceEnd::cancelled:
    case SequenceEnd::fault:  // of a constraint, which a chat has none of
      break;
  }
  return "cancelled";
}

class ChatWriter {
 public:
  ChatWriter(const std::string& model, httplib::DataSink& sink) : model_(model), sink_(sink) {}

  /// False when the client is gone.
  bool queued(std::size_t n_before) { return send("queued", {{"position", n_before}}); }

  bool operator()(const Started& started) {
    text_ = started.trace.text;
    Json data = json_of(started.trace);
    data["model"] = model_;
    return send("start", data);
  }
  bool operator()(const NewToken& made) {
    text_ += made.text;
    Json data = json_of(made.token, text_);
    data.erase("features");
    return send("token", data);
  }
  bool operator()(const NewFeatures& made) {
    Json added = Json::array(), tokens = Json::array();
    for (const TraceFeature& feature : made.added) added.push_back(json_of(feature));
    for (const auto& [position, features] : made.tokens) {
      Json list = Json::array();
      for (const TokenFeature& feature : features) list.push_back(json_of(feature));
      tokens.push_back({{"position", position}, {"features", std::move(list)}});
    }
    return send("features", {{"new", std::move(added)}, {"tokens", std::move(tokens)}});
  }
  bool operator()(const Ended& ended) {
    is_over_ = true;
    return send("end", {{"reason", name_of(ended.end)},
                        {"n_prompt", ended.n_prompt},
                        {"n_new", ended.n_new},
                        {"seconds", ended.seconds}});
  }
  bool operator()(const Failed& failed) {
    is_over_ = true;
    return send("error", Json::parse(error_json(refusal_of(failed.error))));
  }

  bool is_over() const { return is_over_; }

 private:
  bool send(const char* event, const Json& data) {
    const std::string text = std::string("event: ") + event + "\ndata: " + dump_json(data) + "\n\n";
    return sink_.write(text.data(), text.size());
  }

  const std::string& model_;
  httplib::DataSink& sink_;
  std::string text_;  // prompt and answer so far
  bool is_over_ = false;
};

}  // namespace

Refusal refusal_of(const Error& error) {
  return error.fault() == Fault::input
             ? Refusal(400, "bad_request", error.where() + ": " + error.problem(), error.remedy())
             : Refusal(503, "unavailable", error.problem(), error.remedy());
}

void stream_chat(const std::string& model, std::unique_ptr<Engine::Ticket> ticket,
                 httplib::Response& response) {
  response.set_header("Cache-Control", "no-store");
  const auto write = [model, ticket = std::shared_ptr(std::move(ticket))](std::size_t,
                                                                          httplib::DataSink& sink) {
    ChatWriter writer(model, sink);
    bool is_there = true, has_started = false;
    while (is_there && !writer.is_over()) {
      const std::optional<EngineEvent> event = ticket->next(kBetweenSigns);
      if (event) {
        has_started = true;
        is_there = std::visit(writer, *event);
      } else if (!has_started) {
        is_there = writer.queued(ticket->n_before());
      } else {
        is_there = sink.is_writable();
      }
    }
    ticket->cancel();
    sink.done();
    return is_there;
  };
  response.set_chunked_content_provider("text/event-stream", write);
}

}  // namespace safesail
