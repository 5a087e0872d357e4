#include "harvest/decoder_views.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace safesail {
namespace {

constexpr std::int64_t kTile = 256;

/// Decoder rows of the records' features, [n_records, d_out] f32.
at::Tensor directions(const Sae& sae, std::span<const FeatureRecord> records) {
  const std::int64_t d = sae.spec().d_out;
  at::Tensor rows = at::empty({static_cast<std::int64_t>(records.size()), d}, at::kFloat);
  for (std::size_t i = 0; i < records.size(); ++i) {
    SAFESAIL_CHECK(records[i].feature >= 0 && records[i].feature < sae.spec().n_features);
    const auto row = sae.w_dec().subspan(static_cast<std::size_t>(records[i].feature * d),
                                         static_cast<std::size_t>(d));
    std::ranges::copy(row, rows.data_ptr<float>() + static_cast<std::int64_t>(i) * d);
  }
  return rows;
}

bool writes_residual(SiteKind kind) {
  return kind != SiteKind::mlp_in;
}

/// Row `row` of topk's result as tokens.
std::vector<WeightedToken> tokens_of(const std::tuple<at::Tensor, at::Tensor>& best,
                                     std::int64_t row, const Tokenizer& tokenizer) {
  std::vector<WeightedToken> tokens;
  const at::Tensor values = std::get<0>(best)[row].contiguous(),
                   ids = std::get<1>(best)[row].contiguous();
  for (std::int64_t i = 0; i < values.size(0); ++i) {
    const auto id = static_cast<std::int32_t>(ids.data_ptr<std::int64_t>()[i]);
    // An embedding table may be longer than the vocabulary.
    if (id >= tokenizer.vocab_size()) continue;
    tokens.push_back({id, tokenizer.decode(std::span(&id, 1), false), values.data_ptr<float>()[i]});
  }
  return tokens;
}

}  // namespace

void add_logit_lens(const LanguageModel& model, const Tokenizer& tokenizer, const Site& output,
                    const Sae& sae, std::span<FeatureRecord> records) {
  if (!writes_residual(output.kind) || records.empty()) return;
  const c10::InferenceMode inference;
  const at::Tensor rows = directions(sae, records);
  for (std::int64_t first = 0; first < rows.size(0); first += kTile) {
    const std::int64_t n = std::min(kTile, rows.size(0) - first);
    // A sequence each; no layer runs, so the tokens do not matter.
    const std::vector<std::int32_t> ids(static_cast<std::size_t>(n), 0);
    std::vector<std::int32_t> starts(static_cast<std::size_t>(n) + 1);
    std::iota(starts.begin(), starts.end(), 0);
    const at::Tensor tile = rows.narrow(0, first, n);
    ForwardRequest request{.ids = ids, .starts = starts};
    request.residual = &tile;
    request.first_layer = model.spec().n_layers;
    request.logits = ForwardRequest::Logits::all;
    const at::Tensor logits = model.forward(request).logits->to(at::kCPU, at::kFloat);
    const auto highest = at::topk(logits, kLensTokens, 1, true, true);
    const auto lowest = at::topk(logits, kLensTokens, 1, false, true);
    for (std::int64_t i = 0; i < n; ++i) {
      FeatureRecord& record = records[static_cast<std::size_t>(first + i)];
      record.promoted = tokens_of(highest, i, tokenizer);
      record.suppressed = tokens_of(lowest, i, tokenizer);
    }
  }
}

void add_nearest(const Sae& sae, std::span<FeatureRecord> records) {
  if (records.empty()) return;
  const c10::InferenceMode inference;
  const auto normed = [](const at::Tensor& rows) {
    return rows / rows.norm(2, 1, true).clamp_min(1e-12);
  };
  const std::span<const float> w_dec = sae.w_dec();
  const at::Tensor all = normed(at::from_blob(
      const_cast<float*>(w_dec.data()), {sae.spec().n_features, sae.spec().d_out}, at::kFloat));
  const at::Tensor wanted = normed(directions(sae, records));
  const std::int64_t n_nearest =
      std::min<std::int64_t>(kNearestFeatures, sae.spec().n_features - 1);
  for (std::int64_t first = 0; first < wanted.size(0); first += kTile) {
    const std::int64_t n = std::min(kTile, wanted.size(0) - first);
    const at::Tensor cosines = at::mm(wanted.narrow(0, first, n), all.t());
    for (std::int64_t i = 0; i < n; ++i)
      cosines[i][records[static_cast<std::size_t>(first + i)].feature] = -2;
    const auto [values, features] = at::topk(cosines, n_nearest, 1, true, true);
    for (std::int64_t i = 0; i < n; ++i) {
      FeatureRecord& record = records[static_cast<std::size_t>(first + i)];
      record.nearest.clear();
      for (std::int64_t j = 0; j < n_nearest; ++j)
        record.nearest.push_back({static_cast<std::int32_t>(features[i][j].item<std::int64_t>()),
                                  values[i][j].item<float>()});
    }
  }
}

}  // namespace safesail
