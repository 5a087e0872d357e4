// One model for many visitors: chats and traces wait in one queue, in order of arrival; up to
// `max_active` chats are answered at once, a token each a pass, and the features of a token come
// from the pass that reads it. A visitor who leaves makes room at the next token.
//
// The engine has a thread of its own; submit() and the tickets may be used from any thread. The
// subject must outlive it. A fault of one request is an event of its ticket, never an exception of
// the engine. Prompts are kept only while they are answered.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "diagnose/trace.h"
#include "model/generator.h"

namespace safesail {

struct EngineLimits {
  std::size_t max_waiting = 64;  ///< requests
  std::size_t max_active = 4;    ///< chats
  std::int64_t max_prompt_tokens = 2048;
  std::int64_t max_new_tokens = 1024;
};

struct EngineRequest {
  TracePrompt prompt;
  TraceOptions options;
  SequenceConfig generation;  ///< max_new_tokens 0: a trace of the prompt, no answer
};

// What becomes of a request: Started, then for a chat NewToken and NewFeatures, then Ended; or
// Failed at any time.

/// The prompt has been read. Of a chat with mask_special its tokens' features come at the end.
struct Started {
  Trace trace;
};
/// Place, bytes and id; its features follow.
struct NewToken {
  TraceToken token;
  std::string text;
};
struct NewFeatures {
  std::vector<TraceFeature> added;                                         ///< to the trace's list
  std::vector<std::pair<std::int32_t, std::vector<TokenFeature>>> tokens;  ///< by position
};
struct Ended {
  SequenceEnd end = SequenceEnd::stop_token;
  std::size_t n_prompt = 0, n_new = 0;
  double seconds = 0;  ///< since its turn came
};
struct Failed {
  Error error;
};
using EngineEvent = std::variant<Started, NewToken, NewFeatures, Ended, Failed>;

class Engine {
 public:
  /// A visitor's hold on a request; letting it go cancels what is left.
  class Ticket {
   public:
    ~Ticket();
    /// The next event; nothing when `wait` has passed without one, or after Ended and Failed.
    std::optional<EngineEvent> next(std::chrono::milliseconds wait);
    /// How many are to be served before it; 0: it is its turn.
    std::size_t n_before() const;
    void cancel();

   private:
    friend class Engine;
    struct State;
    explicit Ticket(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;
  };

  Engine(const Subject& subject, const EngineLimits& limits);
  /// What its chats may need at most: the keys and values of the longest ones, and a pass that
  /// reads one prompt.
  static std::uint64_t memory_bytes(const Subject& subject, const EngineLimits& limits);
  ~Engine();
  /// Requests under way, waiting and to come end as Failed.
  void end();

  /// All of `requests` wait, or, when there is no room for them, none: then the result is empty. An
  /// input error names what is beyond the limits or impossible.
  std::vector<std::unique_ptr<Ticket>> submit(std::vector<EngineRequest> requests);

  struct Load {
    std::size_t n_waiting = 0, n_active = 0;
  };
  Load load() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace safesail
