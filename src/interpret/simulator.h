// A simulator predicts, from an explanation alone, where its feature fires in given text. Scores
// compare the predictions with the truth (scores.h). Implementations: lexical_simulator.h (offline)
// and llm_simulator.h (any OpenAI-compatible endpoint).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harvest/exemplars.h"
#include "interpret/price.h"

namespace safesail {

/// How a simulator is asked, and what a prediction is about.
enum class Scorer {
  segment,    ///< one value a segment: does it hold a token of level >= 1 (the paper's)
  token,      ///< one level 0..10 a token
  detection,  ///< one value a window: does the feature fire in it
  fuzzing     ///< one value a window with marked tokens: are those the ones it fires on
};
std::string_view to_string(Scorer scorer);
Scorer parse_scorer(std::string_view text);

/// An explanation as simulators see it. `lexicon` is for the lexical simulator alone; empty for
/// explanations that others have written.
struct ExplanationText {
  std::string text;     ///< the sentences that people read
  std::string lexicon;  ///< JSON; see lexical_explainer.h
  std::string feature;  ///< whose it is, for the ledger: SAE and index
  /// What of the text is needed to judge other text, for models that lose themselves in more;
  /// empty: all of it.
  std::string gist = {};
};

/// "short. long", as simulators are given an explanation in two lengths; either may be empty. The
/// gist is the short one, and of our own sentences what they fire on (lexical_sentence.h).
ExplanationText explanation_for_simulator(std::string_view short_text, std::string_view long_text,
                                          std::string_view feature, std::string_view lexicon = {});

/// Text whose units are to be judged: byte ranges of the segments or tokens, or one that is the
/// whole text.
struct Question {
  std::string text;
  struct Range {
    std::uint32_t begin = 0, end = 0;
  };
  std::vector<Range> units;
  std::vector<Range> marked;  ///< fuzzing: what is highlighted; else empty
};

/// What became of a question. Only `ok` has values; the others are counted and shown, never taken
/// for zeros.
enum class AnswerStatus {
  ok,
  unparsable,
  refused,
  failed,
  copied  ///< it repeats an example of the prompt; only where prompts have such (explain, tag)
};
inline constexpr std::size_t kAnswerStatuses = 5;
std::string_view to_string(AnswerStatus status);

struct Answer {
  AnswerStatus status = AnswerStatus::failed;
  /// [n_units]: a probability (segment, detection, fuzzing) or a level 0..10 (token).
  std::vector<float> values;
  std::string detail;  ///< for people: why not
};

/// What requests cost, whenever they were made.
struct SimulationCost {
  std::uint64_t n_requests = 0;
  TokenUsage usage;
  double money = 0;

  SimulationCost& operator+=(const SimulationCost& other);
};

struct Simulated {
  std::vector<Answer> answers;  ///< one a question
  SimulationCost cost;          ///< of all of them
};

class Simulator {
 public:
  virtual ~Simulator() = default;
  /// "lexical", or the endpoint's model.
  virtual std::string name() const = 0;
  /// What else decides the answers, for the records: hash of the prompt; empty where there is none.
  virtual std::string prompt_hash(Scorer scorer) const = 0;
  /// Questions that are asked together; 0 where each is answered by itself.
  virtual int questions_per_request() const { return 0; }
  /// Throws only when going on makes no sense (no credit, stopped).
  virtual Simulated answer(Scorer scorer, const ExplanationText& explanation,
                           std::span<const Question> questions) = 0;
};

}  // namespace safesail
