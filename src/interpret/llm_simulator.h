// The simulator behind an endpoint: a language model reads an explanation and says where its
// feature fires in given text. How it is asked is an Elicitation's; several requests are under way
// at once. Throws what ChatClient::ask throws.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "interpret/chat_client.h"
#include "interpret/elicitation.h"
#include "interpret/list_elicitation.h"
#include "interpret/simulator.h"

namespace safesail {

class LlmSimulator final : public Simulator {
 public:
  /// `client` outlives the simulator.
  LlmSimulator(ChatClient& client, std::unique_ptr<const Elicitation> way);
  /// By lists.
  explicit LlmSimulator(ChatClient& client, int questions_per_request = kQuestionsPerRequest);

  std::string name() const override { return client_.settings().model; }
  std::string prompt_hash(Scorer scorer) const override;
  int questions_per_request() const override;
  Simulated answer(Scorer scorer, const ExplanationText& explanation,
                   std::span<const Question> questions) override;

  /// What answer() would probably cost.
  CostEstimate estimate(Scorer scorer, const ExplanationText& explanation,
                        std::span<const Question> questions);

 private:
  std::vector<AskedBatch> batches(Scorer scorer, const ExplanationText& explanation,
                                  std::span<const Question> questions) const;

  ChatClient& client_;
  const std::unique_ptr<const Elicitation> way_;
};

}  // namespace safesail
