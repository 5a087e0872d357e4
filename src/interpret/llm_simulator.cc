#include "interpret/llm_simulator.h"

#include <fmt/format.h>
#include <utility>

namespace safesail {

LlmSimulator::LlmSimulator(ChatClient& client, std::unique_ptr<const Elicitation> way)
    : client_(client), way_(std::move(way)) {}

LlmSimulator::LlmSimulator(ChatClient& client, int questions_per_request)
    : LlmSimulator(client, std::make_unique<const ListElicitation>(client.settings().seed,
                                                                   questions_per_request)) {}

std::string LlmSimulator::prompt_hash(Scorer scorer) const {
  return way_->prompt_hash(scorer);
}

int LlmSimulator::questions_per_request() const {
  return way_->questions_per_request();
}

std::vector<AskedBatch> LlmSimulator::batches(Scorer scorer, const ExplanationText& explanation,
                                              std::span<const Question> questions) const {
  std::vector<AskedBatch> all = way_->batches(scorer, explanation, questions);
  for (AskedBatch& batch : all) {
    batch.request.purpose = fmt::format("score.{}", to_string(scorer));
    batch.request.feature = explanation.feature;
  }
  return all;
}

Simulated LlmSimulator::answer(Scorer scorer, const ExplanationText& explanation,
                               std::span<const Question> questions) {
  const std::vector<AskedBatch> all = batches(scorer, explanation, questions);
  std::vector<ChatRequest> requests;
  for (const AskedBatch& batch : all) requests.push_back(batch.request);
  const std::vector<ChatResult> results = client_.ask(requests);

  Simulated simulated;
  std::vector<Answer>& answers = simulated.answers;
  answers.assign(questions.size(), {AnswerStatus::ok, {}, ""});
  for (std::size_t b = 0; b < all.size(); ++b) {
    const ChatResult& result = results[b];
    ++simulated.cost.n_requests;
    simulated.cost.usage += result.answer.usage;
    simulated.cost.usage += result.lost;
    simulated.cost.money += result.money;
    way_->read(scorer, all[b], questions, result, answers);
  }
  way_->settle(scorer, answers);
  return simulated;
}

CostEstimate LlmSimulator::estimate(Scorer scorer, const ExplanationText& explanation,
                                    std::span<const Question> questions) {
  std::vector<ChatRequest> requests;
  for (AskedBatch& batch : batches(scorer, explanation, questions))
    requests.push_back(std::move(batch.request));
  return client_.estimate(requests);
}

}  // namespace safesail
