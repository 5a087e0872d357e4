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

Simulated ask(Simulator& simulator, const QuestionSet& set, const ExplanationText& explanation) {
  Simulated simulated = simulator.answer(set.scorer, explanation, set.questions);
  const std::vector<Answer>& answers = simulated.answers;
  SAFESAIL_CHECK(answers.size() == set.questions.size());
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (answers[i].status != AnswerStatus::ok) continue;
    SAFESAIL_CHECK(answers[i].values.size() == set.questions[i].units.size());
    for (const float value : answers[i].values) SAFESAIL_CHECK(std::isfinite(value));
  }
  return simulated;
}

/// Of the questions that all simulations answered.
std::vector<Judged> pool(const QuestionSet& set,
                         std::span<const std::vector<Answer>* const> simulations) {
  std::vector<Judged> pooled(simulations.size());
  for (std::size_t i = 0; i < set.questions.size(); ++i) {
    if (!std::ranges::all_of(simulations, [&](const std::vector<Answer>* answers) {
          return (*answers)[i].status == AnswerStatus::ok;
        }))
      continue;
    for (std::size_t s = 0; s < simulations.size(); ++s)
      for (std::size_t unit = 0; unit < set.truth[i].size(); ++unit)
        pooled[s].add((*simulations[s])[i].values[unit], set.truth[i][unit], set.document[i]);
  }
  return pooled;
}

std::array<std::size_t, kAnswerStatuses> count(const std::vector<Answer>& answers) {
  std::array<std::size_t, kAnswerStatuses> n_answers{};
  for (const Answer& answer : answers) ++n_answers[static_cast<std::size_t>(answer.status)];
  return n_answers;
}

/// "3 of 80 without an answer, the first failed: HTTP 500: no"; empty where none is.
std::string why_missing(const std::vector<Answer>& answers) {
  const auto missing = [](const Answer& answer) { return answer.status != AnswerStatus::ok; };
  const auto first = std::ranges::find_if(answers, missing);
  return first == answers.end()
             ? ""
             : fmt::format("{} of {} without an answer, the first {}: {}",
                           std::ranges::count_if(answers, missing), answers.size(),
                           to_string(first->status), first->detail);
}

/// Refusals come in kinds: they may take one side whole.
bool enough(const QuestionSet& set, const std::vector<Answer>& answers) {
  std::size_t n_firing = 0, n_silent = 0;
  for (std::size_t i = 0; i < answers.size(); ++i)
    if (answers[i].status == AnswerStatus::ok) ++(set.fires[i] ? n_firing : n_silent);
  return 2 * n_firing >= set.n_firing() && 2 * n_silent >= set.fires.size() - set.n_firing();
}

AgreementKind agreement_of(Scorer scorer) {
  return is_correlation(scorer) ? AgreementKind::pearson : AgreementKind::balanced_accuracy;
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

namespace {

/// Floor, baseline, and the lead over each.
void stand_beside(const QuestionSet& set, const std::vector<Answer>& own, const Beside& beside,
                  Simulator& simulator, const ScoreOptions& options, ScoreResult& score) {
  const auto compare = [&](const std::vector<std::vector<Answer>>& others, Estimate& value,
                           Estimate& lead) {
    if (others.empty()) return;
    std::vector<const std::vector<Answer>*> all = {&own};
    for (const std::vector<Answer>& other : others) all.push_back(&other);
    const std::vector<Judged> judged = pool(set, all);
    const auto estimate = [&](double of_own, double of_others) {
      std::vector<double> weights(all.size(), of_others / static_cast<double>(others.size()));
      weights[0] = of_own;
      return estimate_weighted(judged, weights, agreement_of(set.scorer), options.n_resamples,
                               options.seed);
    };
    value = estimate(0, 1);
    lead = estimate(1, -1);
  };
  std::vector<std::vector<Answer>> floors;
  for (const ExplanationText& other : beside.floors)
    if (std::vector<Answer> answers = ask(simulator, set, other).answers; enough(set, answers))
      floors.push_back(std::move(answers));
  score.n_floors = floors.size();
  compare(floors, score.floor, score.above_floor);
  if (beside.baseline == nullptr) return;
  std::vector<Answer> answers = ask(*beside.baseline, set, beside.baseline_explanation).answers;
  if (enough(set, answers)) compare({std::move(answers)}, score.baseline, score.above_baseline);
}

}  // namespace

ScoreResult score(Simulator& simulator, const QuestionSet& set, const ExplanationText& explanation,
                  const Beside& beside, const ScoreOptions& options) {
  ScoreResult score{.scorer = set.scorer,
                    .simulator = simulator.name(),
                    .prompt_hash = simulator.prompt_hash(set.scorer),
                    .value = kNone,
                    .auroc = kNone,
                    .floor = kNone,
                    .above_floor = kNone,
                    .baseline = kNone,
                    .above_baseline = kNone,
                    .n_shared = set.n_shared};
  if (!set.insufficient.empty()) {
    score.status = ScoreStatus::insufficient;
    score.reason = set.insufficient;
    return score;
  }
  const Simulated simulated = ask(simulator, set, explanation);
  const std::vector<Answer>& answers = simulated.answers;
  const Judged judged = pool(set, std::array{&answers}).front();
  score.cost = simulated.cost;
  score.n_asked = answers.size();
  score.n_answers = count(answers);
  score.n_units = judged.size();
  score.n_documents = judged.n_documents();
  score.reason = why_missing(answers);
  score.windows = for_display(set, answers);
  if (!enough(set, answers)) {
    score.status = ScoreStatus::unanswered;
    score.reason = fmt::format(
        "no score: {} of {} questions answered ({} unparsable, {} refused, {} failed); half of the "
        "firing and half of the silent ones are wanted{}{}",
        score.n_answers[0], score.n_asked, score.n_answers[1], score.n_answers[2],
        score.n_answers[3], score.reason.empty() ? "" : "; ", score.reason);
    return score;
  }
  score.value = value_of(set.scorer, judged, options);
  score.auroc = estimate_auroc(judged, options.n_resamples, options.seed);
  if (std::isnan(score.value.value)) {
    score.status = ScoreStatus::constant;
    score.reason = "no correlation: the simulator says the same of everything";
  }
  stand_beside(set, answers, beside, simulator, options, score);
  return score;
}

std::vector<std::vector<std::size_t>> floor_partners(std::span<const double> densities,
                                                     std::size_t n_partners) {
  std::vector<std::size_t> order(densities.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return densities[i]; });
  std::vector<std::vector<std::size_t>> partners(densities.size());
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    std::vector<std::size_t>& own = partners[order[rank]];
    const std::size_t n = std::min(n_partners, order.size() - 1);
    for (std::size_t step = 1; own.size() < n; ++step) {
      if (rank + step < order.size()) own.push_back(order[rank + step]);
      if (step <= rank && own.size() < n) own.push_back(order[rank - step]);
    }
  }
  return partners;
}

}  // namespace safesail
