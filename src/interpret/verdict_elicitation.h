// One text a request and a plain question, of which not the answer counts but how likely it is:
// P(yes) / (P(yes) + P(no)) at the first token, which is all that is asked for.
//
//   detection   the text is the window
//   fuzzing     the window with its marks
//   segment     each segment by itself, as if it were all there is
//   token       each word by itself; its tokens have its verdict
//
// A model of a few billion parameters, asked to mark several things in one answer, says of each
// what it said of the last; asked about one, it can judge (docs/explaining.md has the numbers).
// What all requests share comes first in them, then the explanation, then the text, so that an
// endpoint that keeps what it has read reads little more than the text, and a word that stands in
// several windows is asked about once. Of an explanation the model is shown the gist.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "interpret/elicitation.h"
#include "interpret/prompt.h"

namespace safesail {

class VerdictElicitation final : public Elicitation {
 public:
  VerdictElicitation();

  std::string prompt_hash(Scorer scorer) const override;
  int questions_per_request() const override { return 1; }
  std::vector<AskedBatch> batches(Scorer scorer, const ExplanationText& explanation,
                                  std::span<const Question> questions) const override;
  void read(Scorer scorer, const AskedBatch& batch, std::span<const Question> questions,
            const ChatResult& result, std::vector<Answer>& answers) const override;
  /// detection, fuzzing: moves the log odds of all answers so that their median is even. Small
  /// models say Yes, or No, of nearly everything; which side of even an answer is on then says
  /// nothing, and which side of the others does. Firing and silent windows are asked about alike
  /// often, so the middle is even (after Zhou et al. 2023, Batch Calibration). Looks at no truth.
  void settle(Scorer scorer, std::vector<Answer>& answers) const override;

 private:
  const Prompt text_, marked_;
};

/// P(yes) / (P(yes) + P(no)) at the first token of the answer, in any spelling; what is not among
/// its alternatives is taken for as likely as the last of them. 0 or 1 where the endpoint gives no
/// probabilities, nothing where it says neither.
std::optional<float> share_of_yes(const ChatAnswer& answer);

}  // namespace safesail
