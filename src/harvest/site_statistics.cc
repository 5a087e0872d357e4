#include "harvest/site_statistics.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "sae/moments.h"

namespace safesail {
namespace {

constexpr std::size_t kMostListed = 16;

std::vector<float> norms_of(const at::Tensor& x) {
  const at::Tensor norms = at::linalg_vector_norm(x, 2, {1}, false, at::kFloat).cpu();
  const float* data = norms.const_data_ptr<float>();
  return {data, data + norms.numel()};
}

template <class Items, class Less>
void keep_first(Items& items, Less less) {
  std::sort(items.begin(), items.end(), less);
  if (items.size() > kMostListed) items.resize(kMostListed);
}

std::string shown(std::int32_t token, const TokenText& token_text) {
  return token_text ? fmt::format("\"{}\"", token_text(token)) : fmt::format("token {}", token);
}

}  // namespace

SiteStatistics measure_site(const std::string& site, std::size_t index,
                            const std::vector<const ActivationBlock*>& blocks) {
  SAFESAIL_CHECK(!blocks.empty());
  const c10::InferenceMode inference;
  SiteStatistics result;
  result.site = site;

  std::vector<float> norms;
  for (const ActivationBlock* block : blocks) {
    const std::vector<float> more = norms_of(block->values[index]);
    norms.insert(norms.end(), more.begin(), more.end());
  }
  result.n_tokens = norms.size();
  std::vector<float> sorted = norms;
  // NaN has no place in an order; the moments below name it.
  std::sort(sorted.begin(), sorted.end(),
            [](float a, float b) { return a < b || (std::isnan(b) && !std::isnan(a)); });
  for (const double share : kNormShares)
    result.norm_levels.push_back(
        sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))]);
  const double limit = kSinkRatio * result.median_norm();

  RunningMoments moments(blocks.front()->values[index].size(1));
  std::map<std::pair<std::int32_t, std::int32_t>, SinkToken> sinks;
  std::size_t at = 0;
  for (const ActivationBlock* block : blocks) {
    std::vector<std::int64_t> ordinary;
    for (std::size_t row = 0; row < block->n_rows(); ++row, ++at) {
      // NaN is no sink: it must reach the moments.
      if (!(norms[at] > limit) || !std::isfinite(norms[at])) {
        ordinary.push_back(static_cast<std::int64_t>(row));
        continue;
      }
      ++result.n_sinks;
      if (block->token.empty()) continue;
      SinkToken& sink = sinks[{block->token[row], block->position[row]}];
      sink.token = block->token[row];
      sink.position = block->position[row];
      ++sink.n;
      sink.norm_ratio = std::max(sink.norm_ratio, norms[at] / result.median_norm());
    }
    const at::Tensor& x = block->values[index];
    moments.add(ordinary.size() == block->n_rows()
                    ? x
                    : x.index_select(0, at::tensor(ordinary, at::kLong).to(x.device())));
  }
  for (const auto& [where, sink] : sinks) result.sinks.push_back(sink);
  keep_first(result.sinks, [](const SinkToken& a, const SinkToken& b) { return a.n > b.n; });

  result.transform = moments.transform(site);
  result.spread = std::sqrt(moments.total_variance());
  const std::vector<double> variance = moments.variance();
  double squares = 0;
  for (std::size_t i = 0; i < variance.size(); ++i) {
    const double mean = moments.mean()[i];
    squares += mean * mean;
    const double gamma = std::abs(mean) / std::sqrt(variance[i]);
    if (!(gamma > kOutlierGamma)) continue;
    ++result.n_outliers;
    result.outliers.push_back({static_cast<std::int64_t>(i), mean, gamma});
  }
  result.mean_norm = std::sqrt(squares);
  keep_first(result.outliers, [](const OutlierDimension& a, const OutlierDimension& b) {
    return a.gamma > b.gamma;
  });
  return result;
}

std::string describe(const SiteStatistics& s, const TokenText& token_text) {
  std::string text = fmt::format(
      "{}: norm {:.3g} (1 % {:.3g}, 99 % {:.3g}, largest {:.3g}), spread {:.3g} about a mean of "
      "norm {:.3g}",
      s.site, s.median_norm(), s.norm_levels[0], s.norm_levels[4], s.norm_levels[5], s.spread,
      s.mean_norm);
  if (s.n_outliers > 0)
    text +=
        fmt::format("\n  {} outlier dimensions (centred away), the strongest {} with mean {:.3g}",
                    s.n_outliers, s.outliers.front().dimension, s.outliers.front().mean);
  if (s.n_sinks > 0) {
    text += fmt::format("\n  {} of {} tokens are attention sinks, longer than {} x the median",
                        s.n_sinks, s.n_tokens, kSinkRatio);
    for (std::size_t i = 0; i < std::min<std::size_t>(3, s.sinks.size()); ++i)
      text += fmt::format("{} {} at position {} ({} times)", i == 0 ? ":" : ",",
                          shown(s.sinks[i].token, token_text), s.sinks[i].position, s.sinks[i].n);
  }
  return text;
}

nlohmann::json to_json(const SiteStatistics& s, const TokenText& token_text) {
  using nlohmann::json;
  json norms = json::object(), outliers = json::array(), sinks = json::array();
  for (std::size_t i = 0; i < s.norm_levels.size(); ++i)
    norms[fmt::to_string(kNormShares[i])] = s.norm_levels[i];
  for (const OutlierDimension& outlier : s.outliers)
    outliers.push_back(
        {{"dimension", outlier.dimension}, {"mean", outlier.mean}, {"gamma", outlier.gamma}});
  for (const SinkToken& sink : s.sinks) {
    sinks.push_back({{"token", sink.token},
                     {"position", sink.position},
                     {"n", sink.n},
                     {"norm_over_median", sink.norm_ratio}});
    if (token_text) sinks.back()["text"] = token_text(sink.token);
  }
  return {{"site", s.site},
          {"n_tokens", s.n_tokens},
          {"scale", s.transform.scale},
          {"spread", s.spread},
          {"mean_norm", s.mean_norm},
          {"norm_quantiles", norms},
          {"n_outlier_dimensions", s.n_outliers},
          {"outlier_dimensions", outliers},
          {"n_sinks", s.n_sinks},
          {"sinks", sinks}};
}

}  // namespace safesail
