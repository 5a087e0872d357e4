// Generation a pass at a time: sequences come and go between passes, and each pass continues all
// that are open (new ones with their whole prompt, the others with their last token). What
// generate() loops over, and what serves many visitors with one model.
//
// One thread; the model must outlive it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "model/kv_cache.h"
#include "model/language_model.h"
#include "model/sampler.h"

namespace safesail {

/// Why a sequence ended.
enum class SequenceEnd { stop_token, length, cancelled };

struct SequenceConfig {
  std::int64_t max_new_tokens = 256;
  SamplingConfig sampling;
  std::uint64_t stream = 0;  ///< of random numbers, beside sampling.seed
  /// Beside the model's own end tokens (ModelSpec::eos).
  std::vector<std::int32_t> stop_tokens;
  bool stop_at_eos = true;
};

/// What a pass did for one sequence.
struct SequenceStep {
  std::size_t sequence = 0;               ///< as add() named it
  std::size_t first_row = 0, n_rows = 0;  ///< its tokens in this pass
  std::span<const float> logits;          ///< [vocab] of the next token; until the next pass
  std::optional<std::int32_t> token;      ///< the new token; nothing when it was a stop token
  /// The sequence is over and forgotten; its last new token has been through no pass.
  std::optional<SequenceEnd> end;
};

/// Holds until the next pass.
struct GeneratorStep {
  std::vector<SequenceStep> sequences;  ///< in the order they were added
  std::vector<at::Tensor> sites;        ///< as ForwardResult::sites, of all tokens of the pass
};

class Generator {
 public:
  /// `read`, `edits`: as in ForwardRequest, in every pass.
  explicit Generator(const LanguageModel& model, std::vector<Site> read = {},
                     std::vector<SiteEdit> edits = {});
  ~Generator();

  /// Names a new sequence, which the next pass reads. Errors: an empty prompt, one that the model
  /// cannot read (ids beyond its embeddings, learned positions), impossible sampling settings, no
  /// token to make; the others then go on.
  std::size_t add(std::vector<std::int32_t> prompt, SequenceConfig config);
  /// Forgets a sequence; nothing when it is over already.
  void remove(std::size_t sequence);
  bool empty() const { return open_.empty(); }
  /// What the open sequences may still take, if each becomes as long as it may: keys and values,
  /// and the pass that reads the new prompts.
  std::uint64_t bytes_to_come() const;
  /// Keys and values by now.
  std::uint64_t cache_bytes() const { return cache_.bytes(); }

  /// One pass over all open sequences; with none it does nothing. An error of the pass (too little
  /// memory) leaves the generator of no further use.
  const GeneratorStep& step();

 private:
  struct Open {
    std::size_t name;
    SequenceConfig config;
    Sampler sampler;
    std::vector<std::int32_t> next;  ///< tokens that the next pass reads
    std::int64_t longest;            ///< tokens with its prompt
    std::int64_t n_tokens;           ///< prompt and new ones
    bool is_cached = false;
  };
  void forget(const std::vector<bool>& over);
  void choose(Open& open, SequenceStep& step) const;

  const LanguageModel& model_;
  const std::vector<Site> read_;
  const std::vector<SiteEdit> edits_;
  std::vector<Open> open_;  ///< those in the cache first, as they lie there
  KvCache cache_;
  std::size_t n_named_ = 0;
  std::vector<float> logits_;
  GeneratorStep step_;
};

}  // namespace safesail
