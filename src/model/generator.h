// Generation a pass at a time: sequences come and go between passes, and each pass continues all
// that are open (new ones with their whole prompt, the others with their last token). What
// generate() loops over, and what serves many visitors with one model.
//
// One thread; the model must outlive it.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "model/kv_cache.h"
#include "model/language_model.h"
#include "model/prefix_cache.h"
#include "model/sampler.h"
#include "text/constraint.h"

namespace safesail {

/// Why a sequence ended.
enum class SequenceEnd { stop_token, length, cancelled, fault };

/// The thinking that some models write before their answer. What is beyond its room is cut: `close`
/// is written for the model, also where it would end without an answer.
struct ThinkingConfig {
  std::int32_t open = 0, close = 0;  ///< the tokens around it
  bool is_open = false;              ///< by the prompt; else it begins if the first token is `open`
  std::int64_t max_tokens = 0;
  double max_seconds = 0;  ///< from the first token on; 0: no limit
};

struct SequenceConfig {
  std::int64_t max_new_tokens = 256;
  SamplingConfig sampling;
  std::uint64_t stream = 0;  ///< of random numbers, beside sampling.seed
  /// Beside the model's own end tokens (ModelSpec::eos).
  std::vector<std::int32_t> stop_tokens;
  bool stop_at_eos = true;
  std::optional<ThinkingConfig> thinking;
  /// Of the prompt, as in PrefixCache::open; without one they are nothing.
  std::vector<std::size_t> seams = {};
  /// The form of what is generated after the thinking, of the model's own tokenizer; this
  /// sequence's alone. One that is over ends the sequence as a stop token does.
  std::shared_ptr<Constraint> constraint;
};

/// What a pass did for one sequence.
struct SequenceStep {
  std::size_t sequence = 0;               ///< as add() named it
  std::size_t first_row = 0, n_rows = 0;  ///< its tokens among those of `sites`
  std::size_t n_known = 0;                ///< of its prompt, if new: read for an earlier one
  /// [vocab] of the next token, before its constraint rules any out; until the next pass.
  std::span<const float> logits;
  std::optional<std::int32_t> token;  ///< the new token; nothing when it was a stop token
  bool is_thought = false;            ///< it is of the thinking, whose last token is its `close`
  /// The sequence is over and forgotten; its last new token has been through no pass.
  std::optional<SequenceEnd> end;
  std::exception_ptr fault;  ///< of the constraint, where that is the end
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
  /// Each step begins one new sequence at most; what its prompt has in common with earlier ones is
  /// taken from `openings`, of the same model, and kept there. It must outlive the generator.
  Generator(const LanguageModel& model, PrefixCache& openings);
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

  /// A pass over all open sequences; with none it does nothing. An error of the pass (too little
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
    std::size_t n_known = 0;         ///< of the prompt, where this step begins it
    bool is_cached = false;
    // Of the thinking:
    std::optional<Clock::time_point> begin;
    bool thinks = false;
    std::int64_t n_thought = 0;
  };
  /// A forward over the sequences from `first` on, which are all that `cache` has.
  void pass(std::size_t first, std::size_t n, KvCache& cache);
  void begin(std::size_t index);
  void forget(const std::vector<bool>& over);
  std::int32_t think(Open& open, std::int32_t next, SequenceStep& step) const;
  bool is_end(const Open& open, std::int32_t token) const;
  void choose(Open& open, SequenceStep& step) const;

  const LanguageModel& model_;
  const std::vector<Site> read_;
  const std::vector<SiteEdit> edits_;
  PrefixCache* const openings_ = nullptr;
  std::vector<Open> open_;  ///< those in the cache first, as they lie there
  KvCache cache_;
  std::size_t n_named_ = 0;
  std::vector<at::Tensor> logits_;  ///< of each forward of this step, on the CPU
  GeneratorStep step_;
};

}  // namespace safesail
