// Several windows a request, answered by numbers in JSON: {"answers": [{"id": 1, "v": [0,1]},
// ...]}.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "interpret/elicitation.h"
#include "interpret/llm_excerpts.h"
#include "interpret/prompt.h"

namespace safesail {

/// Windows a request, the same for every scorer: what is asked together is paid for once, so that
/// scorers with unlike batches differ in cost for that alone. Six windows of tokens are some two
/// hundred values; a model loses count in longer lists.
inline constexpr int kQuestionsPerRequest = 6;

class ListElicitation final : public Elicitation {
 public:
  /// Questions are shuffled over the requests by the seed and the explanation, so that no kind of
  /// window always comes first.
  explicit ListElicitation(std::uint64_t seed, int questions_per_request = kQuestionsPerRequest);

  std::string prompt_hash(Scorer scorer) const override;
  int questions_per_request() const override { return questions_per_request_; }
  std::vector<AskedBatch> batches(Scorer scorer, const ExplanationText& explanation,
                                  std::span<const Question> questions) const override;
  void read(Scorer scorer, const AskedBatch& batch, std::span<const Question> questions,
            const ChatResult& result, std::vector<Answer>& answers) const override;
  void settle(Scorer, std::vector<Answer>&) const override {}

 private:
  std::vector<ChatMessage> messages(Scorer scorer, const std::string& explanation,
                                    const std::string& questions, const Marks& marks) const;

  const std::uint64_t seed_;
  const int questions_per_request_;
  const std::array<Prompt, 4> prompts_;  // by Scorer
};

}  // namespace safesail
