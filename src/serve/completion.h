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

#include "model/sampler.h"
#include "model/text_model.h"
#include "text/chat.h"

namespace safesail {

struct CompletionRequest {
  std::string model;
  std::vector<ChatMessage> messages;
  std::int64_t max_tokens = 512;
  SamplingConfig sampling;
  std::vector<std::string> stop;      ///< texts at which the answer ends, themselves left out
  std::optional<int> n_alternatives;  ///< give log probabilities, and so many alternatives a token
  bool stream = false, stream_usage = false;
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
};

/// Calls `give` with each piece; false from it ends the work, as `stop` does. An input error when
/// the prompt is longer than the model reads.
CompletionEnd complete(const TextModel& model, const CompletionRequest& request,
                       const std::function<bool(const CompletionPiece&)>& give,
                       std::stop_token stop = {});

}  // namespace safesail
