#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>

#include "select/selection_files.h"
#include "train/report_html.h"
#include "train/report_svg.h"

namespace safesail {
namespace {

std::string with_interval(const Estimate& estimate, int digits) {
  return fmt::format("{:.{}f} ({:.{}f} to {:.{}f})", estimate.value, digits, estimate.low, digits,
                     estimate.high, digits);
}

/// L0 as evaluated, else as aimed at; none where neither is known.
double sparsity(const SaeSelection& sae) {
  if (sae.reconstruction) return sae.reconstruction->l0.value;
  return sae.id.k > 0 ? static_cast<double>(sae.id.k) : svg::kNone;
}

std::string text_of(double value, int digits) {
  return std::isnan(value) ? "" : fmt::format("{:.{}f}", value, digits);
}

/// The SAEs of each architecture and width at a site, by rising L0.
std::map<std::string, std::vector<const SaeSelection*>> series_of(
    const std::vector<SaeSelection>& saes, const std::string& site) {
  std::map<std::string, std::vector<const SaeSelection*>> series;
  for (const SaeSelection& sae : saes)
    if (sae.id.site == site)
      series[fmt::format("{} {}", sae.id.architecture, sae.id.n_features)].push_back(&sae);
  for (auto& [name, members] : series)
    std::ranges::sort(members, {}, [](const SaeSelection* sae) { return sparsity(*sae); });
  return series;
}

using Value = svg::Point (*)(const SaeSelection&);

svg::Point excess_point(const SaeSelection& sae) {
  const Estimate& excess = sae.l0_t[kRankedThreshold].excess;
  return {.x = sparsity(sae), .y = excess.value, .y_low = excess.low, .y_high = excess.high};
}
svg::Point i_cdf_point(const SaeSelection& sae) {
  return {.x = sparsity(sae),
          .y = sae.i_cdf.observed.value,
          .y_low = sae.i_cdf.observed.low,
          .y_high = sae.i_cdf.observed.high};
}
svg::Point fvu_point(const SaeSelection& sae) {
  if (!sae.reconstruction) return {.x = svg::kNone, .y = svg::kNone};
  const Estimate& fvu = sae.reconstruction->fvu;
  return {.x = sparsity(sae), .y = fvu.value, .y_low = fvu.low, .y_high = fvu.high};
}

svg::Plot plot(const std::vector<SaeSelection>& saes, const std::string& site, std::string title,
               std::string y, Value value) {
  svg::Plot result{.title = std::move(title),
                   .x = {.title = "L0, active features a token", .log = true},
                   .y = {.title = std::move(y)}};
  for (const auto& [name, members] : series_of(saes, site)) {
    svg::Series series{.name = name};
    for (const SaeSelection* sae : members) {
      svg::Point point = value(*sae);
      point.tip = short_name(sae->id);
      series.points.push_back(std::move(point));
    }
    result.series.push_back(std::move(series));
  }
  return result;
}

std::string site_section(const std::vector<SaeSelection>& saes, const std::string& site) {
  const svg::Plot excess = plot(saes, site, "Features that tell a concept apart",
                                "L(0, .2) beyond chance", excess_point);
  std::string body =
      "<h2>" + html::escape(site) + "</h2>\n" + svg::legend(excess.series) +
      "<div class=\"row three\">" + svg::draw(excess) +
      svg::draw(plot(saes, site, "Expected distinguishing frequency", "I_CDF", i_cdf_point)) +
      svg::draw(plot(saes, site, "Reconstruction", "FVU", fvu_point)) + "</div>\n";
  std::vector<std::vector<std::string>> rows = {{"SAE", "L0", "FVU", "L(0, .2)", "by chance",
                                                 "L(0, .5)", "by chance", "I_CDF x 1000",
                                                 "by chance"}};
  for (const auto& [name, members] : series_of(saes, site))
    for (const SaeSelection* sae : members) {
      Estimate i_cdf = sae->i_cdf.observed;
      for (double* part : {&i_cdf.value, &i_cdf.low, &i_cdf.high}) *part *= 1000;
      rows.push_back(
          {short_name(sae->id), text_of(sparsity(*sae), 1),
           sae->reconstruction ? fmt::format("{:.3f}", sae->reconstruction->fvu.value) : "",
           with_interval(sae->l0_t[kRankedThreshold].observed, 1),
           fmt::format("{:.1f}", sae->l0_t[kRankedThreshold].null_mean),
           with_interval(sae->l0_t[5].observed, 1), fmt::format("{:.1f}", sae->l0_t[5].null_mean),
           with_interval(i_cdf, 2), fmt::format("{:.2f}", 1000 * sae->i_cdf.null_mean)});
    }
  return body + html::table(rows);
}

/// "; .91, .78" of the pairs held out: against twins and against other concepts.
std::string held_out_text(const Replication& held_out) {
  return held_out.n_pairs == 0
             ? ""
             : fmt::format("; {:.2f}, {:.2f}", held_out.twins.value, held_out.others.value);
}

std::string concept_table(const FeatureSelection& selection) {
  std::vector<std::vector<std::string>> rows = {{"concept", "pairs", "SAE", "candidates",
                                                 "L(0, .2)", "by chance", "p", "q",
                                                 "best features"}};
  for (std::size_t c = 0; c < selection.concepts.size(); ++c)
    for (const std::size_t i : selection.recommendation.recommended().saes) {
      const SaeSelection& sae = selection.saes[i];
      const ConceptSelection& own = sae.concepts[c];
      std::string best;
      for (std::size_t f = 0; f < std::min<std::size_t>(5, own.candidates.size()); ++f)
        best += fmt::format("{}{} ({}/{}{})", f == 0 ? "" : ", ", own.candidates[f].feature,
                            own.candidates[f].n_forward, own.candidates[f].n_reverse,
                            held_out_text(own.candidates[f].held_out));
      rows.push_back({selection.concepts[c].name + " " + selection.concepts[c].language,
                      fmt::format("{}", own.metrics.n_pairs), sae.id.site,
                      fmt::format("{}", own.candidates.size()),
                      fmt::format("{:.0f}", own.metrics.l0_t[kRankedThreshold].observed.value),
                      fmt::format("{:.1f}", own.metrics.l0_t[kRankedThreshold].null_mean),
                      fmt::format("{:.3f}", own.metrics.p_value), fmt::format("{:.3f}", own.q),
                      best});
    }
  return html::table(rows);
}

}  // namespace

std::string selection_html(const FeatureSelection& selection,
                           const std::vector<std::pair<std::string, std::string>>& facts) {
  std::string body =
      "<p>Metrics before any explanation. A feature distinguishes a pair when it "
      "fires with the concept and not in the counterpart; L(0, t) counts the "
      "features that distinguish more than a share t of a concept's pairs, I_CDF is "
      "the mean share over all features; both are means over the subclasses, with "
      "95 % intervals over the finest concepts. \"By chance\": the same with concept and "
      "counterpart exchanged at random in each pair.</p>\n";
  body += html::facts(facts);
  body += "<h2>Recommendation</h2>\n<p>" + html::escape(selection.recommendation.reason) +
          "</p>\n<p>The sparsest configuration that is not clearly behind the best one, by the "
          "mean over sites and seeds of L(0, .2) beyond chance. All numbers of this page but the "
          "precision are of the pairs that it was chosen by.</p>\n<p>" +
          html::escape(precision_sentence(selection)) + "</p>\n";
  std::vector<std::vector<std::string>> ranking = {
      {"configuration", "L(0, .2) beyond chance", "behind the best", "sites", "L0", "FVU"}};
  for (const Ranked& ranked : selection.recommendation.ranking)
    ranking.push_back({to_string(ranked.configuration), with_interval(ranked.excess, 1),
                       with_interval(ranked.behind, 1), fmt::format("{}", ranked.n_sites),
                       text_of(ranked.mean_l0, 1), text_of(ranked.mean_fvu, 3)});
  body += html::table(ranking);
  std::vector<std::string> sites;
  for (const SaeSelection& sae : selection.saes)
    if (std::ranges::find(sites, sae.id.site) == sites.end()) sites.push_back(sae.id.site);
  for (const std::string& site : sites) body += site_section(selection.saes, site);
  body +=
      "<h2>Concepts, recommended configuration</h2>\n<p>Candidates fire with the concept more "
      "often than without it and than with any other, under false discovery control over all "
      "features, SAEs, concepts and languages; so is q over all concepts. Best features: index "
      "(pairs in which it fires with the concept alone / in the "
      "counterpart alone).</p>\n" +
      concept_table(selection);
  for (const std::string& text : selection.left_out)
    body += "<p>Left out, too few pairs: " + html::escape(text) + "</p>\n";
  for (const std::string& text : selection.recommendation.incomplete)
    body += "<p>Not ranked, missing at a site: " + html::escape(text) + "</p>\n";
  return html::page("Selection", body);
}

}  // namespace safesail
