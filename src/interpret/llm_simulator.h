// The simulator behind an endpoint: a language model reads an explanation and says where its
// feature fires in given text. Several questions go into one request, several requests are under
// way at once. Throws what ChatClient::ask throws.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "interpret/chat_client.h"
#include "interpret/llm_excerpts.h"
#include "interpret/prompt.h"
#include "interpret/simulator.h"

namespace safesail {

/// Windows a request, the same for every scorer: what is asked together is paid for once, so that
/// scorers with unlike batches differ in cost for that alone. Six windows of tokens are some two
/// hundred values; a model loses count in longer lists.
inline constexpr int kQuestionsPerRequest = 6;

class LlmSimulator final : public Simulator {
 public:
  /// `client` outlives the simulator.
  explicit LlmSimulator(ChatClient& client, int questions_per_request = kQuestionsPerRequest);

  std::string name() const override { return client_.settings().model; }
  std::string prompt_hash(Scorer scorer) const override;
  int questions_per_request() const override { return questions_per_request_; }
  /// Questions are shuffled over the requests by the seed and the explanation, so that no kind of
  /// window always comes first.
  Simulated answer(Scorer scorer, const ExplanationText& explanation,
                   std::span<const Question> questions) override;

  /// What answer() would probably cost.
  CostEstimate estimate(Scorer scorer, const ExplanationText& explanation,
                        std::span<const Question> questions);

 private:
  struct Batch {
    std::vector<std::size_t> questions;
    ChatRequest request;
  };
  std::vector<ChatMessage> messages(Scorer scorer, const std::string& explanation,
                                    const std::string& questions, const Marks& marks) const;
  std::vector<Batch> batches(Scorer scorer, const ExplanationText& explanation,
                             std::span<const Question> questions) const;

  ChatClient& client_;
  const int questions_per_request_;
  const std::array<Prompt, 4> prompts_;  // by Scorer
};

}  // namespace safesail
