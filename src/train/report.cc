#include "train/report.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <map>
#include <tuple>

#include "base/units.h"
#include "train/report_html.h"
#include "train/report_svg.h"

namespace safesail {
namespace {

using Cells = std::vector<const CellResult*>;

/// A mean over fewer predictions says nothing, and would set the scale of its plot.
constexpr std::uint64_t kFewestTokens = 30;

std::string paragraph(const std::string& text) {
  return "<p>" + html::escape(text) + "</p>\n";
}

/// `in_one`: "two" or "three" where there is room, or "" for as many as fit.
std::string row_of(const std::string& figures, const std::string& in_one) {
  return fmt::format("<div class=\"row {}\">\n{}</div>\n", in_one, figures);
}

std::string number(double value) {
  return std::isfinite(value) ? fmt::format("{:.4g}", value) : "–";
}

std::string number(const Estimate& estimate) {
  if (!estimate.has_interval()) return number(estimate.value);
  return fmt::format("{:.4g} [{:.4g}, {:.4g}]", estimate.value, estimate.low, estimate.high);
}

std::string percent(double share) {
  return std::isfinite(share) ? fmt::format("{:.1f}", 100 * share) : "–";
}

std::string k_label(const SaeIdentity& id) {
  return id.k > 0 ? fmt::format("k{}", id.k) : std::string();
}

/// What one line of a frontier joins: SAEs that differ in their sparsity alone.
std::string family(const SaeIdentity& id) {
  std::string name = fmt::format("{} {}", id.architecture, id.n_features);
  if (id.seed != 0) name += fmt::format(" #{}", id.seed);
  return name;
}

/// In the order in which sites first appear.
std::vector<std::pair<std::string, Cells>> by_site(const std::vector<CellResult>& cells) {
  std::vector<std::pair<std::string, Cells>> sites;
  for (const CellResult& cell : cells) {
    const std::string name = site_name(cell.id);
    auto site = std::ranges::find(sites, name, [](const auto& entry) { return entry.first; });
    if (site == sites.end()) site = sites.insert(sites.end(), {name, {}});
    site->second.push_back(&cell);
  }
  return sites;
}

svg::Point frontier_point(const CellResult& cell, const Estimate& y) {
  return {.x = cell.l0.value,
          .y = y.value,
          .x_low = cell.l0.low,
          .x_high = cell.l0.high,
          .y_low = y.low,
          .y_high = y.high,
          .label = k_label(cell.id),
          .tip = fmt::format("{}: L0 {}, {}", short_name(cell.id), number(cell.l0), number(y))};
}

std::vector<svg::Series> frontier(const Cells& cells, Estimate (*y)(const CellResult&)) {
  std::vector<svg::Series> series;
  for (const CellResult* cell : cells) {
    const std::string name = family(cell->id);
    auto line = std::ranges::find(series, name, &svg::Series::name);
    if (line == series.end()) line = series.insert(series.end(), {.name = name, .points = {}});
    line->points.push_back(frontier_point(*cell, y(*cell)));
  }
  for (svg::Series& line : series) std::ranges::sort(line.points, {}, &svg::Point::x);
  return series;
}

std::string frontiers(const Cells& cells) {
  const svg::Axis l0{.title = "L0, active features a token", .log = true};
  const auto fvu = frontier(cells, [](const CellResult& cell) { return cell.fvu; });
  std::string figures = svg::draw(
      svg::Plot{.title = "Unexplained variance", .x = l0, .y = {.title = "FVU"}, .series = fvu});
  if (cells.front()->loss.n_tokens > 0)
    figures += svg::draw(svg::Plot{
        .title = "Loss of the model with the SAE spliced in",
        .x = l0,
        .y = {.title = "delta CE, nats a token"},
        .series = frontier(cells, [](const CellResult& cell) { return cell.loss.delta; })});
  return paragraph(
             "Lower and further left is better. Whiskers are 95 % intervals over documents.") +
         svg::legend(fvu) + row_of(figures, "two");
}

std::string densities(const Cells& cells) {
  std::string figures;
  std::map<std::string, std::size_t> colors;  // as in the frontier
  for (const CellResult* cell : cells) {
    const std::size_t color = colors.try_emplace(family(cell->id), colors.size()).first->second;
    figures += svg::draw(svg::Histogram{.title = short_name(cell->id),
                                        .bins = cell->density,
                                        .lowest = kLowestDensity,
                                        .highest = 0,
                                        .apart = cell->n_never_fired,
                                        .color = color});
  }
  return row_of(figures, "");
}

std::string position_text(const PositionResult& bucket) {
  if (bucket.first == bucket.last) return fmt::to_string(bucket.first);
  if (bucket.last == std::numeric_limits<std::int32_t>::max())
    return fmt::format("{}+", bucket.first);
  return fmt::format("{}–{}", bucket.first, bucket.last);
}

std::string positions(const Cells& cells) {
  // A bucket stands at the number of its kind, however many tokens wide it is.
  std::map<std::int32_t, PositionResult> buckets;
  for (const CellResult* cell : cells)
    for (const PositionResult& bucket : cell->loss.by_position)
      buckets.emplace(bucket.first, bucket);
  svg::Axis x{.title = "position in the document"};
  std::string counts;
  for (const auto& [first, bucket] : buckets) {
    x.ticks.emplace_back(double(x.ticks.size()), position_text(bucket));
    counts +=
        fmt::format("{}{}: {}", counts.empty() ? "" : ", ", position_text(bucket), bucket.n_tokens);
  }
  const auto series = [&](double PositionResult::*y) {
    std::vector<svg::Series> lines;
    for (const CellResult* cell : cells) {
      svg::Series& line =
          lines.emplace_back(svg::Series{.name = short_name(cell->id), .points = {}});
      for (const PositionResult& bucket : cell->loss.by_position) {
        if (bucket.n_tokens < kFewestTokens) continue;
        line.points.push_back(
            {.x = double(std::distance(buckets.begin(), buckets.find(bucket.first))),
             .y = bucket.*y,
             .tip = fmt::format("{} at {}: {} over {} tokens", line.name, position_text(bucket),
                                number(bucket.*y), bucket.n_tokens)});
      }
    }
    return lines;
  };
  const auto plot = [&](const char* title, const char* unit, double PositionResult::*y) {
    return svg::draw(svg::Plot{.title = title,
                               .x = x,
                               .y = {.title = unit},
                               .series = series(y),
                               .width = 360,
                               .height = 250});
  };
  return paragraph(fmt::format("Tokens at each position: {}; fewer than {} are not drawn.", counts,
                               kFewestTokens)) +
         svg::legend(series(&PositionResult::delta)) +
         row_of(plot("delta CE", "nats a token", &PositionResult::delta) +
                    plot("KL(clean || spliced)", "nats a token", &PositionResult::kl) +
                    plot("FVU", "FVU", &PositionResult::fvu),
                "three");
}

std::string training(const std::vector<TrainingCurve>& curves, const std::string& site) {
  // In the order of load_cells, so that an SAE keeps its colour.
  std::vector<const TrainingCurve*> here;
  for (const TrainingCurve& curve : curves)
    if (site_name(curve.id) == site) here.push_back(&curve);
  if (here.empty()) return {};
  std::ranges::stable_sort(here, {}, [](const TrainingCurve* curve) {
    const SaeIdentity& id = curve->id;
    return std::tie(id.architecture, id.n_features, id.k, id.seed);
  });
  const auto series = [&](double TrainingPoint::*y) {
    std::vector<svg::Series> lines;
    for (const TrainingCurve* curve : here) {
      svg::Series& line = lines.emplace_back(
          svg::Series{.name = short_name(curve->id), .points = {}, .markers = false});
      for (const TrainingPoint& point : curve->points)
        line.points.push_back({.x = point.tokens, .y = point.*y});
    }
    return lines;
  };
  const auto plot = [&](const char* title, double TrainingPoint::*y, bool log) {
    return svg::draw(svg::Plot{.title = title,
                               .x = {.title = "tokens trained on", .text = human_count},
                               .y = {.title = title, .log = log},
                               .series = series(y),
                               .width = 300,
                               .height = 230});
  };
  return "<h3>Training</h3>\n" + svg::legend(series(&TrainingPoint::fvu)) +
         row_of(plot("FVU of a batch", &TrainingPoint::fvu, false) +
                    plot("loss", &TrainingPoint::loss, true) +
                    plot("L0", &TrainingPoint::l0, true) +
                    plot("dead features", &TrainingPoint::n_dead, false),
                "");
}

std::string agreements(const std::vector<CellResult>& cells) {
  std::vector<std::vector<std::string>> rows{
      {"SAE", "other seed", "matched %", "mean max cosine", "and back"}};
  for (const CellResult& cell : cells)
    for (const SeedAgreement& other : cell.agreement)
      if (other.seed > cell.id.seed)
        rows.push_back({site_name(cell.id) + " " + short_name(cell.id), fmt::to_string(other.seed),
                        percent(other.features.matched_share),
                        number(other.features.mean_max_cosine),
                        number(other.features.mean_max_cosine_back)});
  if (rows.size() == 1) return {};
  return "<h2>Agreement between seeds</h2>\n" +
         paragraph(
             "Matched: features that are each other's nearest by decoder direction, with a "
             "cosine above 0.7.") +
         html::table(rows);
}

std::string reconstruction_table(const std::vector<CellResult>& cells) {
  std::vector<std::vector<std::string>> rows{{"SAE", "FVU", "L0", "L0 5 / 50 / 95 %", "dead %",
                                              "scale to fit", "|x̂| / |x|", "cosine", "tokens",
                                              "documents"}};
  for (const CellResult& cell : cells)
    rows.push_back({site_name(cell.id) + " " + short_name(cell.id), number(cell.fvu),
                    number(cell.l0),
                    fmt::format("{} / {} / {}", cell.l0_quantiles[0], cell.l0_quantiles[1],
                                cell.l0_quantiles[2]),
                    percent(cell.dead_share), number(cell.scale_to_fit), number(cell.norm_ratio),
                    number(cell.cosine), fmt::to_string(cell.n_tokens),
                    cell.n_documents > 0 ? fmt::to_string(cell.n_documents) : "–"});
  return html::table(rows);
}

std::string loss_table(const std::vector<CellResult>& cells) {
  std::vector<std::vector<std::string>> rows{{"SAE", "CE clean", "CE spliced", "delta CE",
                                              "CE zero", "CE mean", "KL", "KL zero", "KL mean",
                                              "recovered", "from mean", "tokens"}};
  for (const CellResult& cell : cells) {
    const SplicedLoss& loss = cell.loss;
    if (loss.n_tokens == 0) continue;
    rows.push_back({site_name(cell.id) + " " + short_name(cell.id), number(loss.clean.value),
                    number(loss.spliced.value), number(loss.delta), number(loss.zero_ablated.value),
                    number(loss.mean_ablated.value), number(loss.kl),
                    number(loss.kl_zero_ablated.value), number(loss.kl_mean_ablated.value),
                    number(loss.recovered), number(loss.recovered_from_mean),
                    fmt::to_string(loss.n_tokens)});
  }
  return rows.size() == 1 ? std::string() : "<h3>Losses, nats a token</h3>\n" + html::table(rows);
}

}  // namespace

std::string to_html(const Report& report) {
  std::string body = html::facts(report.facts);
  for (const auto& [site, cells] : by_site(report.cells)) {
    body += "<h2>" + html::escape(site) + "</h2>\n" + frontiers(cells);
    if (cells.front()->loss.n_tokens > 0) body += "<h3>By position</h3>\n" + positions(cells);
    body += "<h3>Feature density</h3>\n" +
            paragraph(
                "Features by the share of tokens on which they fire. The grey bar counts "
                "those that never fired.") +
            densities(cells) + training(report.training, site);
  }
  body += agreements(report.cells);
  body += "<h2>Every number</h2>\n" +
          paragraph("Brackets hold 95 % intervals, by resampling documents.") +
          "<h3>Reconstruction and sparsity</h3>\n" + reconstruction_table(report.cells) +
          loss_table(report.cells);
  return html::page(report.title, body);
}

void write_report(const fs::path& path, const Report& report) {
  write_file(path, to_html(report));
}

}  // namespace safesail
