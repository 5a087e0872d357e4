// A chat completion by the local engine: messages in, pieces of text out as they are made, with the
// probabilities of their tokens where they are wanted.
//
// Free functions; one model may serve several threads.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/choice_reader.h"
#include "model/sampler.h"
#include "model/shared_generator.h"
#include "model/text_model.h"
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

struct CompletionRequest {
  std::string model;
  std::vector<ChatMessage> messages;
  std::int64_t max_tokens = 512;
  SamplingConfig sampling;
  std::vector<std::string> stop;      ///< texts at which the answer ends, themselves left out
  std::optional<int> n_alternatives;  ///< give log probabilities, and so many alternatives a token
  bool stream = false, stream_usage = false;
  std::optional<AnswerForm> form;  ///< our own addition to the API: "answer_form"
};

/// Reads the body of POST /v1/chat/completions. An input error for what is no such request, and for
/// fields that the engine cannot honour (tools, several choices, a form of the answer); its text
/// names the field.
CompletionRequest parse_completion_request(std::string_view body);

struct CompletionPiece {
  std::string text;  ///< whole characters; may be empty
  float logprob = 0;
  std::vector<std::pair<std::string, float>> alternatives;  ///< likeliest first
};

struct CompletionEnd {
  bool cut_short = false;  ///< by max_tokens or the model's length
  std::size_t n_prompt = 0, n_new = 0;
  std::size_t n_known = 0;  ///< of the prompt, read for an earlier one
};

/// Calls `give` with each piece; false from it ends the work, as `stop` does. `generator` is of the
/// same model. An input error when the prompt is longer than the model reads.
CompletionEnd complete(const TextModel& model, SharedGenerator& generator,
                       const CompletionRequest& request,
                       const std::function<bool(const CompletionPiece&)>& give,
                       const std::stop_token& stop);

/// The pieces of the request's form, each slot a piece with all choices as its alternatives, and
/// the likeliest as its text. An input error when the model's tokenizer does not keep a slot apart.
struct FilledForm {
  std::vector<CompletionPiece> pieces;
  std::size_t n_prompt = 0, n_form = 0;  ///< tokens; the form's were read, not written
  std::size_t n_known = 0;               ///< of the prompt, read for an earlier one
};
/// `reader` is of the same model.
FilledForm fill_form(const TextModel& model, ChoiceReader& reader,
                     const CompletionRequest& request);

}  // namespace safesail
