// Text generation: a batch of prompts is read in one packed pass, then continued token by token on
// cached keys and values, each sequence until its own end.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <vector>

#include "model/generator.h"
#include "model/language_model.h"
#include "model/sampler.h"

namespace safesail {

struct GenerateConfig {
  std::int64_t max_new_tokens = 256;
  SamplingConfig sampling;
  /// Beside the model's own end tokens (ModelSpec::eos).
  std::vector<std::int32_t> stop_tokens;
  bool stop_at_eos = true;
  /// Applied in every pass; a pass over the prompts sees all their tokens, a later one the last
  /// token of each sequence that goes on.
  std::vector<SiteEdit> edits;
  /// Called with the logits [vocab] from which a sequence's next token is about to be chosen; they
  /// are gone after the token's callback.
  std::function<void(std::size_t sequence, std::span<const float> logits)> on_logits;
};

struct Generated {
  using End = SequenceEnd;
  std::vector<std::int32_t> ids;  ///< the new tokens, without the stop token
  End end = End::length;
};

/// Called with each new token as it is chosen, sequences in order.
using TokenCallback = std::function<void(std::size_t sequence, std::int32_t id)>;

/// One result a prompt. A sequence draws from its own random stream (seed, its index), so it does
/// not depend on its batch mates. A stop request ends every sequence after the token under way.
/// Errors: an empty prompt, impossible sampling settings, too little memory for the cache.
std::vector<Generated> generate(const LanguageModel& model,
                                const std::vector<std::vector<std::int32_t>>& prompts,
                                const GenerateConfig& config, const TokenCallback& on_token = {},
                                std::stop_token stop = {});

}  // namespace safesail
