// Explanations by a language model behind an endpoint: excerpts of every activation level in, a
// short and a long text out, and the same in a second language where one is wanted.
//
// Not thread-safe; the client asks several features' questions at once. Throws what ChatClient::ask
// throws. Answers that are refused or make no sense are results with that status and the raw text.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "interpret/chat_client.h"
#include "interpret/llm_excerpts.h"
#include "interpret/prompt.h"

namespace safesail {

struct LlmExplainerSettings {
  ExcerptPlan excerpts;
  std::string second_language;  ///< its English name, as in "Chinese"; empty: none
  int max_tokens = 1000;        ///< of an answer
};

/// One text in two lengths, in one language.
struct LlmText {
  AnswerStatus status = AnswerStatus::failed;
  std::string short_text, long_text;  ///< empty unless ok
  std::string raw;                    ///< what was answered, thinking left out
  std::string detail;                 ///< why not, for people
  std::string prompt_hash;
  std::string request_hash;  ///< of what was asked, as the ledger has it
  TokenUsage usage;
  double money = 0;
};

struct LlmExplanation {
  /// Where it is ok, `detail` says if it was written from fewer excerpts than planned.
  LlmText text;
  std::optional<LlmText> second;  ///< only where `text` is ok and a second language was wanted
  int n_excerpts = 0;
};

class LlmExplainer {
 public:
  /// `client` outlives the explainer.
  LlmExplainer(ChatClient& client, const LlmExplainerSettings& settings = {});

  /// One result a record. Each record must hold exemplars of Use::explain alone (std::logic_error).
  /// A record in which nothing fires is `failed` without a request. Where a prompt is too long for
  /// the model, it is asked again with fewer excerpts.
  std::vector<LlmExplanation> explain(std::span<const FeatureRecord> records);

  /// What explain() would probably cost.
  CostEstimate estimate(std::span<const FeatureRecord> records);
  /// Of the prompt that explains.
  const std::string& prompt_hash() const { return explain_.hash(); }

 private:
  ChatRequest request(const FeatureRecord& record, const ExcerptPlan& plan, int& n_excerpts) const;
  void ask(std::span<const FeatureRecord> records, std::vector<LlmExplanation>& explanations);
  ChatRequest translation(const FeatureRecord& record, const LlmText& text) const;
  LlmText read(const ChatRequest& request, const ChatResult& result, const Prompt& prompt) const;

  ChatClient& client_;
  const LlmExplainerSettings settings_;
  const Prompt explain_, translate_;
};

}  // namespace safesail
