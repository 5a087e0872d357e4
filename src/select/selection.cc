#include "select/selection.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <set>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "formats/byte_stream.h"
#include "formats/json.h"
#include "formats/line_reader.h"
#include "select/random_floor.h"

namespace safesail {
namespace {

/// One number's mean over subclasses, in what was observed and in every resample.
NullComparison mean_over_subclasses(const std::vector<Concept>& concepts, const SaeSelection& sae,
                                    std::size_t number) {
  double n = 0, observed = 0, null_mean = 0;
  MetricDraws sums;
  for (std::size_t c = 0; c < concepts.size(); ++c) {
    if (concepts[c].subclass.empty()) continue;
    const ConceptMetrics& metrics = sae.concepts[c].metrics;
    for (const auto part :
         {&MetricDraws::observed, &MetricDraws::null_mean, &MetricDraws::swapped}) {
      (sums.*part).resize((metrics.draws.*part).size());
      for (std::size_t r = 0; r < (sums.*part).size(); ++r)
        (sums.*part)[r][number] += (metrics.draws.*part)[r][number];
    }
    observed += metrics.number(number).observed.value;
    null_mean += metrics.number(number).null_mean;
    ++n;
  }
  for (const auto part : {&MetricDraws::observed, &MetricDraws::null_mean, &MetricDraws::swapped})
    for (MetricNumbers& numbers : sums.*part) numbers[number] /= n;
  return compare_with_null(observed / n, null_mean / n, number, sums, sae.drawn_from);
}

/// The excess by which configurations are ranked, in each draw.
std::vector<double> ranked_draws(const std::vector<Concept>& concepts, const SaeSelection& sae) {
  constexpr std::size_t number = 1 + kRankedThreshold;
  std::vector<double> draws;
  double n = 0;
  for (std::size_t c = 0; c < concepts.size(); ++c) {
    if (concepts[c].subclass.empty()) continue;
    const MetricDraws& own = sae.concepts[c].metrics.draws;
    draws.resize(own.observed.size());
    for (std::size_t r = 0; r < draws.size(); ++r)
      draws[r] += own.observed[r][number] - own.null_mean[r][number];
    ++n;
  }
  for (double& draw : draws) draw /= n;
  return draws;
}

/// Means over subclasses, after which the draws of the single concepts are not needed.
void summarise(const std::vector<Concept>& concepts, const PairResamples& resamples,
               SaeSelection& sae) {
  std::vector<std::size_t> pairs;
  for (const Concept& concept_ : concepts)
    if (!concept_.subclass.empty())
      pairs.insert(pairs.end(), concept_.pairs.begin(), concept_.pairs.end());
  sae.drawn_from = resamples.drawn_from(pairs);
  sae.i_cdf = mean_over_subclasses(concepts, sae, 0);
  for (std::size_t t = 0; t < kThresholds.size(); ++t)
    sae.l0_t[t] = mean_over_subclasses(concepts, sae, 1 + t);
  sae.ranked_draws = ranked_draws(concepts, sae);
  for (ConceptSelection& concept_ : sae.concepts) concept_.metrics.draws = {};
}

/// q of every feature and of every concept, over all SAEs.
void control(const TestConfig& config, std::vector<SaeTests> tests,
             std::vector<SaeSelection>& saes) {
  control_false_discoveries(tests);
  std::vector<double> p;
  for (std::size_t s = 0; s < saes.size(); ++s)
    for (std::size_t c = 0; c < saes[s].concepts.size(); ++c) {
      ConceptSelection& concept_ = saes[s].concepts[c];
      p.push_back(concept_.metrics.p_value);
      concept_.tested = std::move(tests[s][c]);
      for (const FeatureContrast& contrast : concept_.tested)
        if (contrast.q <= config.false_discovery_rate) concept_.candidates.push_back(contrast);
      std::ranges::sort(concept_.candidates, {}, [](const FeatureContrast& contrast) {
        return std::tuple(contrast.q, -contrast.n_forward, contrast.feature);
      });
    }
  const std::vector<double> q = benjamini_hochberg(p);
  std::size_t next = 0;
  for (SaeSelection& sae : saes)
    for (ConceptSelection& concept_ : sae.concepts) concept_.q = q[next++];
}

/// The concepts as they are on the pairs held out, in the same order.
std::vector<Concept> held_out(const std::vector<Concept>& concepts,
                              const std::vector<ContrastPair>& pairs, const PairSplit& split) {
  std::vector<Concept> result = concepts;
  for (Concept& concept_ : result) {
    concept_.pairs.clear();
    for (const std::size_t p : split.held_out)
      if (pairs[p].language == concept_.language && pairs[p].domain == concept_.domain &&
          (concept_.subclass.empty() || pairs[p].subclass == concept_.subclass))
        concept_.pairs.push_back(p);
  }
  return result;
}

/// What the candidates do on the pairs that did not choose them.
void try_on_held_out(const std::vector<PairFiring>& firing, const std::vector<ContrastPair>& pairs,
                     const SelectConfig& config, FeatureSelection& selection) {
  const std::vector<Concept>& concepts = selection.held_out;
  const bool any = !selection.split.held_out.empty();
  const PairResamples resamples(pairs, selection.split.held_out, config.n_resamples, config.seed);
  for (std::size_t s = 0; s < selection.saes.size(); ++s)
    for (std::size_t c = 0; c < concepts.size(); ++c)
      for (FeatureContrast& contrast : selection.saes[s].concepts[c].candidates) {
        if (any) contrast.held_out = replicate(firing[s], contrast.feature, concepts, c, resamples);
        Precision& precision = selection.saes[s].precision;
        ++precision.n_accepted;
        precision.n_replicated += contrast.held_out.replicates();
        precision.n_specific += contrast.held_out.is_specific();
      }
}

/// A selection that knows which pairs choose, and of which concepts they are.
FeatureSelection split_for_selection(const std::vector<ContrastPair>& pairs,
                                     const SelectConfig& config) {
  FeatureSelection selection;
  selection.split = split_pairs(PairUnits(pairs), config.held_out_share, config.seed);
  selection.concepts =
      concepts_of(pairs, selection.split.choosing, config.min_pairs, selection.left_out);
  if (selection.concepts.empty() || selection.concepts.front().subclass.empty())
    bad_input("pairs",
              fmt::format("expected a subclass with at least {} pairs, got {} pairs in all, {} of "
                          "them held out",
                          config.min_pairs, pairs.size(), selection.split.held_out.size()),
              "bring more pairs of a subclass, hold out fewer (--held-out), or lower --min-pairs");
  selection.held_out = held_out(selection.concepts, pairs, selection.split);
  return selection;
}

}  // namespace

Precision FeatureSelection::precision() const {
  Precision sum;
  for (const std::size_t i : recommendation.recommended().saes) sum += saes[i].precision;
  return sum;
}

std::string precision_sentence(const FeatureSelection& selection) {
  const Precision precision = selection.precision();
  if (selection.split.held_out.empty())
    return "No pairs were held out: whether the accepted features stand for their concepts "
           "elsewhere is not known.";
  const std::string tried =
      fmt::format("{} of {} pairs held out, by finest concepts", selection.split.held_out.size(),
                  selection.split.held_out.size() + selection.split.choosing.size());
  if (precision.n_accepted == 0)
    return fmt::format("No feature of the recommended SAEs was accepted ({}).", tried);
  const auto share = [](const Estimate& estimate) {
    return fmt::format("{:.2f}, {:.2f} to {:.2f}", estimate.value, estimate.low, estimate.high);
  };
  return fmt::format(
      "Precision: of {} accepted, a feature and concept each, {} replicate ({}) and {} are "
      "specific "
      "({}) on what had no part in choosing them ({}).{}",
      precision.n_accepted, precision.n_replicated, share(precision.replicated()),
      precision.n_specific, share(precision.specific()), tried,
      selection.floor ? fmt::format(" In SAEs of random directions, as wide and as sparse: {} "
                                    "accepted, {} replicate, {} are specific.",
                                    selection.floor->n_accepted, selection.floor->n_replicated,
                                    selection.floor->n_specific)
                      : "");
}

std::string sae_name(const SaeIdentity& id) {
  const fs::path folder = fs::path(id.path).parent_path();
  return id.path.empty() ? id.site : (folder.parent_path().filename() / folder.filename()).string();
}

FeatureSelection select_features(const LanguageModel& model, const Tokenizer& tokenizer,
                                 const std::vector<EvaluationCell>& cells,
                                 const std::vector<ContrastPair>& pairs, const SelectConfig& config,
                                 std::vector<PairFiring>& firing, Reporter& reporter,
                                 std::stop_token stop) {
  split_for_selection(pairs, config);  // refuses before the model reads anything
  const RandomFloor random(cells, config.seed);
  std::vector<SaeAtSite> saes;
  std::vector<SaeIdentity> ids, random_ids;
  for (const EvaluationCell& cell : cells) {
    saes.push_back({cell.input, &cell.sae});
    ids.push_back(cell.id);
  }
  for (const EvaluationCell& cell : random.cells) {
    saes.push_back({cell.input, &cell.sae});
    random_ids.push_back(cell.id);
  }
  firing = read_pair_firing(model, tokenizer, saes, pairs, config.firing, reporter, stop);
  const auto first_random = firing.begin() + static_cast<std::ptrdiff_t>(cells.size());
  const std::vector<PairFiring> random_firing(std::make_move_iterator(first_random),
                                              std::make_move_iterator(firing.end()));
  firing.erase(first_random, firing.end());

  FeatureSelection selection = select_from_firing(ids, firing, pairs, config, reporter, stop);
  if (random.cells.empty()) return selection;
  const FeatureSelection by_chance =
      select_from_firing(random_ids, random_firing, pairs, config, reporter, stop);
  std::set<std::int64_t> like_chosen;
  for (const std::size_t i : selection.recommendation.recommended().saes)
    if (random.of[i] >= 0) like_chosen.insert(random.of[i]);
  selection.floor.emplace();
  for (const std::int64_t i : like_chosen)
    *selection.floor += by_chance.saes[static_cast<std::size_t>(i)].precision;
  return selection;
}

FeatureSelection select_from_firing(const std::vector<SaeIdentity>& saes,
                                    const std::vector<PairFiring>& firing,
                                    const std::vector<ContrastPair>& pairs,
                                    const SelectConfig& config, Reporter& reporter,
                                    const std::stop_token& stop) {
  SAFESAIL_CHECK(!saes.empty() && saes.size() == firing.size());
  FeatureSelection selection = split_for_selection(pairs, config);
  const std::vector<Concept>& concepts = selection.concepts;
  const PairResamples resamples(pairs, selection.split.choosing, config.n_resamples, config.seed);
  FairCoins coins;
  std::vector<SaeTests> tests;
  const auto n_called = [&](const std::string& name) {
    return std::ranges::count(saes, name, [](const SaeIdentity& id) { return sae_name(id); });
  };
  for (std::size_t i = 0; i < saes.size(); ++i) {
    SaeSelection& sae = selection.saes.emplace_back();
    sae.id = saes[i];
    sae.name = sae_name(sae.id);
    if (n_called(sae.name) > 1 && !sae.id.path.empty()) sae.name = sae.id.path;
    const std::vector<FiringCounts> counts = count_firing(firing[i], concepts);
    SaeTests& own = tests.emplace_back();
    for (std::size_t c = 0; c < concepts.size(); ++c) {
      sae.concepts.push_back(
          {.metrics = concept_metrics(firing[i], concepts[c], resamples, coins)});
      own.push_back(test_features(firing[i], concepts, c, counts, config.tests));
    }
    summarise(concepts, resamples, sae);
    reporter.progress("select", i + 1, saes.size(), "SAEs", sae.name);
    if (stop.stop_requested())
      failed("select", "stopped before the end", "run the same command again");
  }
  control(config.tests, std::move(tests), selection.saes);
  try_on_held_out(firing, pairs, config, selection);
  selection.recommendation = recommend(selection.saes);
  return selection;
}

void add_reconstruction(const fs::path& evaluation, FeatureSelection& selection) {
  if (!fs::exists(evaluation)) return;
  LineReader lines{ByteStream(evaluation)};
  while (const auto text = lines.next()) {
    const Json json = parse_json(*text, lines.where());
    const JsonObject line(json, lines.where());
    const auto number = [&](const char* key) {
      Estimate estimate{.value = line.get<double>(key)};
      const auto interval = line.find<std::vector<double>>(std::string(key) + "_interval")
                                .value_or(std::vector<double>());
      if (interval.size() == 2) estimate.low = interval[0], estimate.high = interval[1];
      return estimate;
    };
    const auto is_this = [&](const SaeSelection& sae) {
      const SaeIdentity& id = sae.id;
      return id.site == line.get<std::string>("site") &&
             id.output_site == line.get<std::string>("output_site") &&
             id.architecture == line.get<std::string>("architecture") &&
             id.k == line.get<std::int64_t>("k") &&
             id.n_features == line.get<std::int64_t>("n_features") &&
             static_cast<std::int64_t>(id.seed) == line.get<std::int64_t>("seed");
    };
    const auto found = std::ranges::find_if(selection.saes, is_this);
    if (found != selection.saes.end())
      found->reconstruction = Reconstruction{number("fvu"), number("l0")};
  }
  selection.recommendation = recommend(selection.saes);
}

}  // namespace safesail
