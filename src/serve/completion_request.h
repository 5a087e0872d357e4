// What a client asks of POST /v1/chat/completions.
//
// A pure function. An input error names the field that is wrong, unknown or cannot be honoured:
// nothing that was asked for is left out in silence.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/sampler.h"
#include "serve/constraint_request.h"
#include "text/chat.h"

namespace safesail {

/// An answer that is written already but for some slots, each of which takes one of a few choices.
/// The engine reads the probabilities of the choices at all slots in one pass instead of writing
/// the answer token by token; while it reads, the first choice stands in every slot.
struct AnswerForm {
  std::string text;
  std::string slot;                  ///< what marks a slot in the text
  std::vector<std::string> choices;  ///< each a token of its own
};

/// What a model may spend on thinking before it must answer.
struct ThinkingRoom {
  std::int64_t tokens = 0;
  double seconds = 0;  ///< 0: no limit
};

struct CompletionRequest {
  std::string model;
  std::vector<ChatMessage> messages;
  Json template_arguments;  ///< "chat_template_kwargs": null, or an object; see render_chat
  std::int64_t max_tokens = 512;
  std::string limited_by;             ///< the field that says max_tokens; empty where none does
  SamplingConfig sampling;            ///< without a seed in the request: one that nobody knows
  std::vector<std::string> stop;      ///< texts at which the answer ends, themselves left out
  std::optional<int> n_alternatives;  ///< give log probabilities, and so many alternatives a token
  bool stream = false, stream_usage = false;
  std::optional<ConstraintRequest> constraint;
  // Our own additions to the API: "answer_form", "thinking".
  std::optional<AnswerForm> form;
  std::optional<ThinkingRoom> thinking;  ///< nothing: as much as max_tokens allows
};

CompletionRequest parse_completion_request(std::string_view body);

}  // namespace safesail
