#include "model/kv_cache.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <c10/core/InferenceMode.h>
#include <cstring>

#include "base/error.h"
#include "model/language_model.h"

namespace safesail {

KvCache::KvCache(const LanguageModel& model) {
  const c10::InferenceMode inference;
  const ModelSpec& spec = model.spec();
  const auto options =
      at::dtype(model.options().dtype == ComputeType::bf16 ? at::kBFloat16 : at::kFloat)
          .device(model.options().device);
  for (std::int64_t layer = 0; layer < spec.n_layers; ++layer)
    layers_.push_back(at::empty({0, 0, 2 * spec.kv_dim()}, options));
}

KvCache::KvCache(const LanguageModel& model, std::int64_t n_sequences, std::int64_t capacity)
    : KvCache(model) {
  add(n_sequences, capacity);
}

KvCache::~KvCache() = default;
KvCache::KvCache(KvCache&&) noexcept = default;
KvCache& KvCache::operator=(KvCache&&) noexcept = default;

void KvCache::enlarge(std::int64_t n_more, std::int64_t capacity) {
  const c10::InferenceMode inference;
  capacity = std::max(capacity, capacity_);
  for (at::Tensor& layer : layers_) {
    const std::int64_t n = layer.size(0);
    at::Tensor larger = at::empty({n + n_more, capacity, layer.size(2)}, layer.options());
    larger.narrow(0, 0, n).narrow(1, 0, capacity_).copy_(layer);
    layer = std::move(larger);
  }
  capacity_ = capacity;
}

void KvCache::add(std::int64_t n_sequences, std::int64_t capacity) {
  enlarge(n_sequences, capacity);
  lengths_.resize(lengths_.size() + static_cast<std::size_t>(n_sequences), 0);
}

void KvCache::keep(std::span<const std::int64_t> kept) {
  const c10::InferenceMode inference;
  const at::Tensor index =
      at::tensor(at::ArrayRef<std::int64_t>(kept.data(), kept.size())).to(layers_.front().device());
  for (at::Tensor& layer : layers_) layer = layer.index_select(0, index);
  std::vector<std::int64_t> lengths;
  for (const std::int64_t s : kept) lengths.push_back(length(s));
  lengths_ = std::move(lengths);
  if (!lengths_.empty()) return;
  for (at::Tensor& layer : layers_) layer = at::empty({0, 0, layer.size(2)}, layer.options());
  capacity_ = 0;
}

void KvCache::shorten(std::int64_t s, std::int64_t length) {
  SAFESAIL_CHECK(length >= 0 && length <= this->length(s));
  lengths_[static_cast<std::size_t>(s)] = length;
}

void KvCache::reserve(std::span<const std::int32_t> starts) {
  std::int64_t needed = 0;
  for (std::size_t s = 0; s < lengths_.size(); ++s)
    needed = std::max<std::int64_t>(needed, lengths_[s] + starts[s + 1] - starts[s]);
  if (needed <= capacity_) return;
  enlarge(0, std::max(needed, 2 * capacity_));
}

void KvCache::append(std::int64_t layer, const ModelSpec& spec, const at::Tensor& qkv,
                     std::span<AttentionSpan> spans) {
  at::Tensor& store = layers_[static_cast<std::size_t>(layer)];
  const std::int64_t width = 2 * spec.kv_dim();
  for (std::size_t s = 0; s < spans.size(); ++s) {
    AttentionSpan& span = spans[s];
    const std::int64_t past = lengths_[s];
    const at::Tensor sequence = store.select(0, static_cast<std::int64_t>(s));
    sequence.narrow(0, past, span.n_queries)
        .copy_(qkv.narrow(0, span.first_row, span.n_queries).narrow(1, spec.q_dim(), width));
    span.n_keys = past + span.n_queries;
    const auto* data = static_cast<const std::byte*>(sequence.const_data_ptr());
    span.k = data;
    span.v = data + static_cast<std::size_t>(spec.kv_dim()) * store.element_size();
    span.kv_stride = width;
  }
}

void KvCache::advance(std::span<const std::int32_t> starts) {
  for (std::size_t s = 0; s < lengths_.size(); ++s) lengths_[s] += starts[s + 1] - starts[s];
}

std::uint64_t KvCache::bytes_per_token(const LanguageModel& model) {
  const ModelSpec& spec = model.spec();
  const std::uint64_t element = model.options().dtype == ComputeType::bf16 ? 2 : 4;
  return static_cast<std::uint64_t>(spec.n_layers * 2 * spec.kv_dim()) * element;
}

}  // namespace safesail
