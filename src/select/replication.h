// What a chosen feature does on pairs that had no part in choosing it: does it still tell the
// concept's texts from their counterparts, and from the texts of other concepts?
//
//   twins    P(max in a text with the concept > max in a counterpart), ties by half: AUROC
//   others   the same against the texts with the rival concepts
//
//   without  `twins` without the pairs in which it reaches its maximum at its top token, the one at
//            which it adds up to most in texts with the concept
//
// All with intervals over the finest concepts held out, which no feature of one word can narrow.
// A feature replicates where the interval of `twins` lies above a half, and is specific there where
// that of `others` does. Of features that know nothing 2.5 % do.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/bootstrap.h"
#include "select/pair_firing.h"
#include "select/pair_resamples.h"
#include "select/pairs.h"

namespace safesail {

struct Replication {
  std::size_t n_pairs = 0;  ///< held out of the concept; 0: it was not tried
  Estimate twins, others;   ///< others: without an interval where there is no rival
  std::string top_token;    ///< without blanks, in lower case; empty: not known
  std::size_t n_without = 0;
  Estimate without;  ///< NaN where no pair is left

  bool replicates() const { return n_pairs > 0 && twins.low > 0.5; }
  bool is_specific() const { return n_pairs > 0 && others.low > 0.5; }
  /// It lives by its top token: without it, it would not replicate.
  bool is_one_word() const { return replicates() && !(without.low > 0.5); }
};

/// `concepts` are the pairs held out, in any languages; rivals of concepts[i] are those of
/// rivals_of(). `resamples` are draws of these pairs.
Replication replicate(const PairFiring& firing, std::int32_t feature,
                      const std::vector<Concept>& concepts, std::size_t i,
                      const PairResamples& resamples);

/// Of features accepted for a concept, the shares that replicate and that are specific on what was
/// held out, with 95 % intervals (Wilson's, features drawn).
struct Precision {
  std::size_t n_accepted = 0, n_replicated = 0, n_specific = 0;

  Estimate replicated() const;
  Estimate specific() const;
  Precision& operator+=(const Precision& other);
};

/// A share of successes and Wilson's (1927) 95 % interval; NaN of none.
Estimate wilson(std::size_t n_hits, std::size_t n);

}  // namespace safesail
