// A score: how well an explanation, read by a simulator, predicts where its feature fires in text
// that neither the explanation's author nor any calibration has seen.
//
//   segment, token       Pearson over the pooled units of all answered windows
//   detection, fuzzing   balanced accuracy at 0.5, over windows
//
// Beside each the AUROC, a 95 % interval by resampling documents, the floor (the same questions
// answered from explanations of other features) and the baseline (another simulator's answers from
// another explanation), and the score's lead over each, its interval paired: the same questions on
// the same resampled documents. Questions that were not answered are counted by what became of
// them; they are neither zeros nor forgotten, and where less than half of either side (firing,
// silent) is answered there is no score. Nothing here is shared between threads.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bootstrap.h"
#include "interpret/question.h"
#include "interpret/simulator.h"

namespace safesail {

enum class ScoreStatus {
  ok,
  insufficient,  ///< too few windows: nothing was asked
  unanswered,    ///< less than half of the questions of a side were answered
  constant       ///< the simulator says the same everywhere: there is no correlation with that
};
std::string_view to_string(ScoreStatus status);

/// A window and what became of the questions about it, for display; one a window. Fuzzing asks
/// about a window twice: it has two units, the whole text with `marked` and with `wrongly_marked`.
struct SimulatedWindow {
  std::size_t exemplar = 0;  ///< index in the record
  std::vector<TextRange> units, marked, wrongly_marked;
  std::vector<float> truth, predicted;  ///< [n_units]; predicted is empty unless all is answered
  AnswerStatus status = AnswerStatus::failed;
};

struct ScoreResult {
  Scorer scorer = Scorer::segment;
  std::string simulator, prompt_hash;
  ScoreStatus status = ScoreStatus::ok;
  std::string reason;  ///< for people: why there is no score, or why answers are missing

  // NaN where there is none. Floor and leads are of the questions that all of them answered; what
  // is constant counts in them as chance. The floor is the mean over its explanations.
  Estimate value, auroc, floor, above_floor, baseline, above_baseline;
  std::size_t n_floors = 0;  ///< explanations that the floor is made of
  SimulationCost cost;       ///< of the questions about this explanation; those of the floor aside

  std::size_t n_asked = 0;  ///< questions
  std::array<std::size_t, kAnswerStatuses>
      n_answers{};                           ///< by AnswerStatus; they add up to n_asked
  std::size_t n_units = 0, n_documents = 0;  ///< of the answered questions
  std::size_t n_shared = 0;                  ///< windows dropped as leaks; see question.h
  std::vector<SimulatedWindow> windows;

  double share_answered() const;
  /// What the score counts in means and rankings: its value; that of pure chance where the
  /// simulation is constant, as leaving it out would flatter; nothing where there is no score.
  std::optional<double> counted() const;
};

/// What a simulator that knows nothing gets: 0 for correlations, 0.5 for accuracies.
double chance(Scorer scorer);

struct ScoreOptions {
  std::size_t n_resamples = 1000;
  std::uint64_t seed = 0;
};

/// What stands beside a score.
struct Beside {
  std::vector<ExplanationText> floors;  ///< of other features, for the same simulator
  Simulator* baseline = nullptr;        ///< another simulator, and what it reads
  ExplanationText baseline_explanation = {};
};

/// Asks the questions, and again with what stands beside. Throws what the simulators throw.
ScoreResult score(Simulator& simulator, const QuestionSet& set, const ExplanationText& explanation,
                  const Beside& beside = {}, const ScoreOptions& options = {});

/// Whose explanations serve as whose floor, by their places: for each those next to it by density,
/// above and below in turn, `n_partners` where there are so many.
std::vector<std::vector<std::size_t>> floor_partners(std::span<const double> densities,
                                                     std::size_t n_partners);

}  // namespace safesail
