#include "interpret/score.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <numeric>
#include <unordered_map>

#include "base/error.h"
#include "interpret/statistics.h"

namespace safesail {
namespace {

constexpr Estimate kNone = {.value = std::numeric_limits<double>::quiet_NaN()};
constexpr std::array<std::string_view, 4> kStatusNames = {"ok", "insufficient", "unanswered",
                                                          "constant"};

bool is_correlation(Scorer scorer) {
  return scorer == Scorer::segment || scorer == Scorer::token;
}

std::vector<Answer> ask(Simulator& simulator, const QuestionSet& set,
                        const ExplanationText& explanation) {
  std::vector<Answer> answers = simulator.answer(set.scorer, explanation, set.questions);
  SAFESAIL_CHECK(answers.size() == set.questions.size());
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (answers[i].status != AnswerStatus::ok) continue;
    SAFESAIL_CHECK(answers[i].values.size() == set.questions[i].units.size());
    for (const float value : answers[i].values) SAFESAIL_CHECK(std::isfinite(value));
  }
  return answers;
}

Judged pool(const QuestionSet& set, const std::vector<Answer>& answers) {
  Judged judged;
  for (std::size_t i = 0; i < answers.size(); ++i)
    if (answers[i].status == AnswerStatus::ok)
      for (std::size_t unit = 0; unit < set.truth[i].size(); ++unit)
        judged.add(answers[i].values[unit], set.truth[i][unit], set.document[i]);
  return judged;
}

std::array<std::size_t, 4> count(const std::vector<Answer>& answers) {
  std::array<std::size_t, 4> n_answers{};
  for (const Answer& answer : answers) ++n_answers[static_cast<std::size_t>(answer.status)];
  return n_answers;
}

/// Refusals come in kinds: they may take one side whole.
bool enough(const QuestionSet& set, const std::vector<Answer>& answers) {
  std::size_t n_firing = 0, n_silent = 0;
  for (std::size_t i = 0; i < answers.size(); ++i)
    if (answers[i].status == AnswerStatus::ok) ++(set.fires[i] ? n_firing : n_silent);
  return 2 * n_firing >= set.n_firing() && 2 * n_silent >= set.fires.size() - set.n_firing();
}

Estimate value_of(Scorer scorer, const Judged& judged, const ScoreOptions& options) {
  return is_correlation(scorer)
             ? estimate_pearson(judged, options.n_resamples, options.seed)
             : estimate_balanced_accuracy(judged, options.n_resamples, options.seed);
}

/// In the order in which the windows were first asked about.
std::vector<SimulatedWindow> for_display(const QuestionSet& set,
                                         const std::vector<Answer>& answers) {
  std::vector<SimulatedWindow> windows;
  std::unordered_map<std::size_t, std::size_t> place_of;  // by exemplar
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const auto [place, is_new] = place_of.try_emplace(set.exemplar[i], windows.size());
    if (is_new) windows.push_back({.exemplar = set.exemplar[i], .status = AnswerStatus::ok});
    SimulatedWindow& window = windows[place->second];
    // Of two questions the one with the right marks comes first.
    const bool goes_first = !is_new && set.fires[i];
    const auto add = [&](auto& to, const auto& more) {
      to.insert(goes_first ? to.begin() : to.end(), more.begin(), more.end());
    };
    const Question& question = set.questions[i];
    add(window.units, question.units);
    add(window.truth, set.truth[i]);
    add(window.predicted, answers[i].values);
    (set.fires[i] ? window.marked : window.wrongly_marked) = question.marked;
    if (answers[i].status != AnswerStatus::ok) window.status = answers[i].status;
  }
  for (SimulatedWindow& window : windows)
    if (window.status != AnswerStatus::ok) window.predicted.clear();
  return windows;
}

}  // namespace

std::string_view to_string(ScoreStatus status) {
  return kStatusNames[static_cast<std::size_t>(status)];
}

double chance(Scorer scorer) {
  return is_correlation(scorer) ? 0 : 0.5;
}

double ScoreResult::share_answered() const {
  return n_asked == 0 ? 0
                      : static_cast<double>(n_answers[static_cast<std::size_t>(AnswerStatus::ok)]) /
                            static_cast<double>(n_asked);
}

std::optional<double> ScoreResult::counted() const {
  if (status == ScoreStatus::constant) return chance(scorer);
  if (status == ScoreStatus::ok) return value.value;
  return std::nullopt;
}

ScoreResult score(Simulator& simulator, const QuestionSet& set, const ExplanationText& explanation,
                  const ExplanationText* floor, const ScoreOptions& options) {
  ScoreResult score{.scorer = set.scorer,
                    .simulator = simulator.name(),
                    .prompt_hash = simulator.prompt_hash(set.scorer),
                    .value = kNone,
                    .auroc = kNone,
                    .floor = kNone,
                    .n_shared = set.n_shared};
  if (!set.insufficient.empty()) {
    score.status = ScoreStatus::insufficient;
    score.reason = set.insufficient;
    return score;
  }
  const std::vector<Answer> answers = ask(simulator, set, explanation);
  const Judged judged = pool(set, answers);
  score.n_asked = answers.size();
  score.n_answers = count(answers);
  score.n_units = judged.size();
  score.n_documents = judged.n_documents();
  const bool is_enough = enough(set, answers);
  score.windows = for_display(set, answers);
  if (!is_enough) {
    score.status = ScoreStatus::unanswered;
    score.reason = fmt::format(
        "no score: {} of {} questions answered ({} unparsable, {} refused, {} failed); half of the "
        "firing and half of the silent ones are wanted",
        score.n_answers[0], score.n_asked, score.n_answers[1], score.n_answers[2],
        score.n_answers[3]);
    return score;
  }
  score.value = value_of(set.scorer, judged, options);
  score.auroc = estimate_auroc(judged, options.n_resamples, options.seed);
  if (std::isnan(score.value.value)) {
    score.status = ScoreStatus::constant;
    score.reason = "no correlation: the simulator says the same of everything";
  }
  if (floor != nullptr) {
    const std::vector<Answer> floor_answers = ask(simulator, set, *floor);
    if (enough(set, floor_answers))
      score.floor = value_of(set.scorer, pool(set, floor_answers), options);
  }
  return score;
}

std::vector<std::size_t> floor_partners(std::span<const double> densities) {
  std::vector<std::size_t> order(densities.size()), partner(densities.size());
  std::iota(order.begin(), order.end(), 0);
  const auto density = [&](std::size_t i) { return densities[i]; };
  std::ranges::stable_sort(order, {}, density);
  for (const std::size_t i : order) {
    const auto above = std::ranges::upper_bound(order, densities[i], {}, density);
    const auto from = std::ranges::lower_bound(order, densities[i], {}, density);
    partner[i] = above != order.end() ? *above : from != order.begin() ? *(from - 1) : i;
  }
  return partner;
}

}  // namespace safesail
