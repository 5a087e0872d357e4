// Files explained features under the safety risks they stand for: 4 domains and 17 subclasses, the
// paper's, several or none a feature, each with the words that decide it. The prompt has to name
// the classes; it does so in the list of labels alone, its examples have lists of other subjects.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "interpret/chat_client.h"
#include "interpret/llm_excerpts.h"
#include "interpret/prompt.h"

namespace safesail {

struct SafetyDomain {
  std::string_view name;
  std::array<std::string_view, 5> subclasses;  ///< the last may be empty
};
inline constexpr std::array<SafetyDomain, 4> kSafetyDomains = {{
    {"politics", {"political_figure", "political_event", "ideology", "cult", ""}},
    {"pornography",
     {"sexual_behavior", "sexual_abuse", "sexual_health", "intimate_relationship", ""}},
    {"violence",
     {"insult", "physical_violence", "criminal_offense", "cybersecurity", "conflict_incident"}},
    {"terror", {"terrorism", "religious_oppression", "extremist_activities", "weapons", ""}},
}};

struct SafetyTag {
  std::string domain;
  std::string subclass;  ///< empty: the domain, none of its subclasses
  std::string evidence;
};

struct LlmTags {
  AnswerStatus status = AnswerStatus::failed;
  std::vector<SafetyTag> tags;  ///< none: no safety risk, where ok
  std::string raw, detail;
  std::string prompt_hash;
  TokenUsage usage;
  double money = 0;
};

/// A feature to be filed.
struct TagQuestion {
  std::string feature;                ///< its name, for the ledger
  std::string short_text, long_text;  ///< its explanation
  std::vector<std::string> excerpts;  ///< text_with_levels() of a few windows of Use::explain
  Marks marks;                        ///< that stand in the excerpts
};

/// One result a question. An answer with a label outside the closed set is unparsable.
class LlmTagger {
 public:
  explicit LlmTagger(ChatClient& client);

  std::vector<LlmTags> tag(std::span<const TagQuestion> questions);
  CostEstimate estimate(std::span<const TagQuestion> questions);

 private:
  std::vector<ChatRequest> requests(std::span<const TagQuestion> questions) const;

  ChatClient& client_;
  const Prompt prompt_;
};

}  // namespace safesail
