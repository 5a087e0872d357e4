// The simulator behind an endpoint: a language model reads an explanation and says where its
// feature fires in given text. Several questions go into one request, several requests are under
// way at once. Throws what ChatClient::ask throws.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "interpret/chat_client.h"
#include "interpret/prompt.h"
#include "interpret/simulator.h"

namespace safesail {

struct LlmSimulatorSettings {
  /// By Scorer. Three windows of tokens and twelve of segments are about a hundred values each: a
  /// model loses count in longer lists.
  std::array<int, 4> questions_per_request{12, 3, 8, 8};
};

class LlmSimulator final : public Simulator {
 public:
  /// `client` outlives the simulator.
  explicit LlmSimulator(ChatClient& client, const LlmSimulatorSettings& settings = {});

  std::string name() const override { return client_.settings().model; }
  std::string prompt_hash(Scorer scorer) const override;
  /// Questions are shuffled over the requests by the seed and the explanation, so that no kind of
  /// window always comes first.
  std::vector<Answer> answer(Scorer scorer, const ExplanationText& explanation,
                             std::span<const Question> questions) override;

  /// What answer() would probably cost.
  CostEstimate estimate(Scorer scorer, const ExplanationText& explanation,
                        std::span<const Question> questions);

 private:
  struct Batch {
    std::vector<std::size_t> questions;
    ChatRequest request;
  };
  std::vector<Batch> batches(Scorer scorer, const ExplanationText& explanation,
                             std::span<const Question> questions) const;

  ChatClient& client_;
  const LlmSimulatorSettings settings_;
  const std::array<Prompt, 4> prompts_;  // by Scorer
};

}  // namespace safesail
