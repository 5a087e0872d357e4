#include "harvest/pooled.h"

#include <ATen/ATen.h>
#include <algorithm>

#include "base/error.h"

namespace safesail {
namespace {

/// Adds the means of the batch's sequences to the rows of their texts.
void add_means(const LanguageModel& model, std::span<const Site> sites, const TokenBatch& batch,
               std::vector<std::vector<float>>& means) {
  const c10::InferenceMode inference;
  const ForwardResult result = model.forward(
      {.ids = batch.ids, .starts = batch.starts, .read = {sites.begin(), sites.end()}});
  const auto d = static_cast<std::size_t>(model.spec().d_model);
  for (std::size_t s = 0; s < sites.size(); ++s) {
    const at::Tensor x = result.sites[s].to(at::kCPU, at::kFloat).contiguous();
    for (std::size_t i = 0; i < batch.n_sequences(); ++i) {
      std::vector<double> sum(d);
      double n = 0;
      for (std::int32_t t = batch.starts[i]; t < batch.starts[i + 1]; ++t) {
        if (batch.is_content[static_cast<std::size_t>(t)] == 0) continue;
        const float* row = x.data_ptr<float>() + static_cast<std::int64_t>(t) * x.size(1);
        for (std::size_t j = 0; j < d; ++j) sum[j] += row[j];
        ++n;
      }
      const auto text = batch.document[static_cast<std::size_t>(batch.starts[i])];
      for (std::size_t j = 0; j < d && n > 0; ++j)
        means[s][static_cast<std::size_t>(text) * d + j] = static_cast<float>(sum[j] / n);
    }
  }
}

}  // namespace

std::vector<std::vector<float>> mean_activations(const LanguageModel& model,
                                                 const Tokenizer& tokenizer,
                                                 std::span<const Site> sites,
                                                 std::span<const std::string> texts,
                                                 const BatchConfig& config, Reporter& reporter,
                                                 const std::stop_token& stop) {
  std::vector<std::vector<float>> means(
      sites.size(),
      std::vector<float>(texts.size() * static_cast<std::size_t>(model.spec().d_model)));
  TokenBatch batch;
  const auto flush = [&](std::size_t n_done) {
    if (batch.n_tokens() > 0) add_means(model, sites, batch, means);
    batch.clear();
    reporter.progress("read activations", n_done, texts.size(), "texts", "");
    if (stop.stop_requested()) failed("activations", "stopped", "run the same command again");
  };
  const TokenSequences ids = tokenizer.encode_ids(texts, config.add_special);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::size_t begin = i == 0 ? 0 : ids.ends[i - 1];
    const std::size_t length =
        std::min(ids.ends[i] - begin, static_cast<std::size_t>(config.max_sequence));
    if (batch.n_tokens() + length > static_cast<std::size_t>(config.batch_tokens)) flush(i);
    if (length > 0) batch.append(std::span(ids.ids).subspan(begin, length), i, 0, tokenizer);
  }
  flush(texts.size());
  return means;
}

}  // namespace safesail
