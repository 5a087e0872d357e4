#include "model/language_model.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <c10/core/InferenceMode.h>

#include "base/error.h"
#include "model/decoder.h"
#include "model/device.h"
#include "model/head.h"
#include "model/load_weights.h"
#include "model/open_model.h"

namespace safesail {

struct LanguageModel::Impl {
  ModelSpec spec;
  LoadOptions options;
  Weights weights;
};

LanguageModel::LanguageModel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LanguageModel::~LanguageModel() = default;
LanguageModel::LanguageModel(LanguageModel&&) noexcept = default;

LanguageModel LanguageModel::load(const fs::path& path, const LoadOptions& options,
                                  Reporter& reporter, std::span<const std::int32_t> end_tokens) {
  const c10::InferenceMode inference;
  const at::Device device = open_device(options.device);
  const OpenModel model = open_model(path);
  auto impl = std::make_unique<Impl>();
  impl->spec = model.plan.spec;
  for (const std::int32_t id : end_tokens)
    if (std::ranges::find(impl->spec.eos, id) == impl->spec.eos.end()) impl->spec.eos.push_back(id);
  impl->options = options;
  impl->weights = load_weights(model.plan, model.source,
                               options.dtype == ComputeType::bf16 ? at::kBFloat16 : at::kFloat,
                               device, reporter);
  return LanguageModel(std::move(impl));
}

const ModelSpec& LanguageModel::spec() const {
  return impl_->spec;
}
const LoadOptions& LanguageModel::options() const {
  return impl_->options;
}
std::uint64_t LanguageModel::weight_bytes() const {
  return impl_->weights.bytes;
}

std::uint64_t LanguageModel::forward_bytes(std::int64_t n_tokens, std::size_t n_sites,
                                           bool losses) const {
  const std::int64_t bytes_per_value = impl_->options.dtype == ComputeType::bf16 ? 2 : 4;
  return pass_bytes(impl_->spec, bytes_per_value, n_tokens, static_cast<std::int64_t>(n_sites)) +
         (losses ? head_bytes(n_tokens, bytes_per_value) : 0);
}

namespace {

/// Index of the last token of each sequence.
at::Tensor last_rows(std::span<const std::int32_t> starts) {
  std::vector<std::int64_t> rows;
  for (std::size_t s = 1; s < starts.size(); ++s) rows.push_back(starts[s] - 1);
  return at::tensor(rows, at::kLong);
}

/// The token that follows each, -1 at the end of a sequence.
at::Tensor next_tokens(std::span<const std::int32_t> ids, std::span<const std::int32_t> starts,
                       const at::Device& device) {
  std::vector<std::int32_t> next(ids.begin() + 1, ids.end());
  next.push_back(-1);
  for (const std::int32_t start : starts.subspan(1)) next[static_cast<std::size_t>(start) - 1] = -1;
  return at::tensor(next, at::kInt).to(device);
}

std::vector<float> floats_of(const at::Tensor& values) {
  const at::Tensor here = values.cpu().contiguous();
  return {here.const_data_ptr<float>(), here.const_data_ptr<float>() + here.numel()};
}

}  // namespace

ForwardResult LanguageModel::forward(const ForwardRequest& request) const {
  const c10::InferenceMode inference;
  const bool wants_logits = request.logits != ForwardRequest::Logits::none;
  DecoderOutput output = decode(impl_->spec, impl_->weights, request,
                                wants_logits || request.hidden || request.cache != nullptr);
  ForwardResult result{std::move(output.sites), nullptr, nullptr};
  if (request.hidden) result.hidden = std::make_unique<at::Tensor>(output.hidden);
  if (!wants_logits) return result;

  at::Tensor hidden = output.hidden;
  if (request.logits == ForwardRequest::Logits::last_of_each)
    hidden = hidden.index_select(0, last_rows(request.starts).to(hidden.device()));
  result.logits = std::make_unique<at::Tensor>(logits(hidden));
  return result;
}

at::Tensor LanguageModel::logits(const at::Tensor& hidden) const {
  const c10::InferenceMode inference;
  return logits_of(impl_->spec, impl_->weights.head, hidden);
}

at::Tensor LanguageModel::next_token_loss(const ForwardRequest& request) const {
  const c10::InferenceMode inference;
  const DecoderOutput output = decode(impl_->spec, impl_->weights, request, true);
  return losses_of(impl_->spec, impl_->weights.head, output.hidden,
                   next_tokens(request.ids, request.starts, output.hidden.device()));
}

PredictionChanges LanguageModel::compare_next_tokens(const TokenBatch& batch,
                                                     const at::Tensor& clean,
                                                     std::span<const at::Tensor> edited) const {
  const c10::InferenceMode inference;
  const HeadChanges changes = changes_of(impl_->spec, impl_->weights.head, clean, edited,
                                         next_tokens(batch.ids, batch.starts, clean.device()));
  PredictionChanges result{floats_of(changes.clean_loss), {}};
  for (const HeadChange& change : changes.edited)
    result.edited.push_back({floats_of(change.loss), floats_of(change.kl)});
  return result;
}

}  // namespace safesail
