// Which features fire in which text of the pairs: all that selection needs to know of model and
// SAEs, gathered for all SAEs in one pass.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/report.h"
#include "harvest/coded_stream.h"
#include "select/pairs.h"

namespace safesail {

/// The features of one SAE in the pairs' texts; text 2 p is pair p's with the concept, 2 p + 1 its
/// counterpart.
class PairFiring {
 public:
  struct Firing {
    std::int32_t feature = 0;
    float max = 0;           ///< over the text's content tokens, > 0
    std::uint32_t word = 0;  ///< the token that has it: a number for word()
  };

  PairFiring(std::size_t n_pairs, std::int64_t n_features)
      : n_features_(n_features), texts_(2 * n_pairs) {}

  std::int64_t n_features() const { return n_features_; }
  std::size_t n_pairs() const { return texts_.size() / 2; }
  /// By rising feature, each once.
  std::span<const Firing> with_concept(std::size_t pair) const { return texts_[2 * pair]; }
  std::span<const Firing> counterpart(std::size_t pair) const { return texts_[2 * pair + 1]; }

  /// A token's text without blanks, in lower case; empty where words are not known.
  std::string_view word(std::uint32_t number) const {
    return words_ && number < words_->size() ? std::string_view((*words_)[number]) : "";
  }

  void set(std::size_t text, std::vector<Firing> firing) { texts_[text] = std::move(firing); }
  void set_words(std::shared_ptr<const std::vector<std::string>> words) {
    words_ = std::move(words);
  }
  /// Adds the codes of a piece of a text: a feature's maximum rises to that in the piece. `words`
  /// [n_rows]: the numbers of its tokens.
  void merge(std::size_t text, const SparseCodes& codes, std::size_t first_row,
             std::span<const std::uint32_t> words, float threshold);

 private:
  std::int64_t n_features_;
  std::vector<std::vector<Firing>> texts_;
  std::shared_ptr<const std::vector<std::string>> words_;
};

struct FiringConfig {
  float threshold = 0;  ///< an activation counts above this
  BatchConfig batch = {.max_sequence = 1024, .batch_tokens = 2048};
  bool chat = false;  ///< texts are read as a user's message in the model's chat template
};

/// One PairFiring an SAE, in the order of `saes`, from one pass of the model over all texts.
std::vector<PairFiring> read_pair_firing(const LanguageModel& model, const Tokenizer& tokenizer,
                                         const std::vector<SaeAtSite>& saes,
                                         const std::vector<ContrastPair>& pairs,
                                         const FiringConfig& config, Reporter& reporter,
                                         std::stop_token stop);

}  // namespace safesail
