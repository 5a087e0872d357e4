// A chat completion by the local engine: messages in, pieces of text out as they are made, with the
// probabilities of their tokens where they are wanted.
//
// Free functions; one model may serve several threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/shared_generator.h"
#include "model/text_model.h"
#include "serve/completion_request.h"
#include "serve/refusal.h"

namespace safesail {

struct CompletionPiece {
  std::string text;  ///< whole characters; may be empty
  /// Of its token, which may be part of a character; empty where the piece is of none.
  std::string bytes;
  float logprob = 0;
  struct Alternative {
    std::string bytes;
    float logprob = 0;
  };
  std::vector<Alternative> alternatives;  ///< likeliest first
};

struct CompletionEnd {
  bool cut_short = false;  ///< by max_tokens or the model's length
  std::size_t n_prompt = 0, n_new = 0;
  std::size_t n_known = 0;    ///< of the prompt, read for an earlier one
  std::size_t n_thought = 0;  ///< of the new ones
};

struct CompletionPrompt {
  std::vector<std::int32_t> ids;
  std::vector<std::size_t> seams;  ///< as in SequenceConfig
  bool opens_thinking = false;     ///< its last word is the tag
};

/// For messages that are more than the model reads, with the code that clients know.
constexpr const char* kTooLong = "context_length_exceeded";
Refusal too_long(std::string_view problem);

/// The request's messages as the model's template writes them, up to where it answers. An input
/// error when the template refuses them.
std::string prompt_text(const Tokenizer& tokenizer, const CompletionRequest& request);

/// The tokens of the request's messages. An input error when the template refuses them; too_long().
CompletionPrompt completion_prompt(const TextModel& model, const CompletionRequest& request);

/// What an answer begins with.
struct CompletionStart {
  CompletionPrompt prompt;
  std::shared_ptr<Constraint> constraint = nullptr;  ///< new; of the request, where it asks for one
};

/// Answers completion_prompt(). Calls `give` with each piece while `is_wanted`, which is asked at
/// each token and while all places of `generator`, of the same model, are taken; false from either
/// ends the work. An input error when the model cannot read the prompt, or when the constraint
/// became too complex to go on.
CompletionEnd complete(const TextModel& model, SharedGenerator& generator,
                       const CompletionRequest& request, CompletionStart start,
                       const std::function<bool(const CompletionPiece&)>& give,
                       const std::function<bool()>& is_wanted);

}  // namespace safesail
