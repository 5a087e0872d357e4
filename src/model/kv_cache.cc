#include "model/kv_cache.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <c10/core/InferenceMode.h>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "model/language_model.h"

namespace safesail {

KvCache::KvCache(const LanguageModel& model) : model_(&model) {}

KvCache::KvCache(const LanguageModel& model, std::int64_t n_sequences, std::int64_t longest)
    : KvCache(model) {
  add(n_sequences, longest);
}

KvCache::~KvCache() = default;
KvCache::KvCache(KvCache&&) noexcept = default;
KvCache& KvCache::operator=(KvCache&&) noexcept = default;

std::int64_t KvCache::length(std::int64_t s) const {
  return sequences_[static_cast<std::size_t>(s)].length;
}

std::uint64_t KvCache::bytes() const {
  std::int64_t tokens = 0;
  for (const Sequence& sequence : sequences_) tokens += sequence.capacity;
  return static_cast<std::uint64_t>(tokens) * bytes_per_token(*model_);
}

void KvCache::add(std::int64_t n_sequences, std::int64_t longest) {
  const auto n_layers = static_cast<std::size_t>(model_->spec().n_layers);
  for (std::int64_t i = 0; i < n_sequences; ++i)
    sequences_.push_back({.layers = std::vector<at::Tensor>(n_layers), .longest = longest});
}

void KvCache::keep(std::span<const std::int64_t> kept) {
  std::vector<Sequence> sequences;
  for (const std::int64_t s : kept)
    sequences.push_back(std::move(sequences_[static_cast<std::size_t>(s)]));
  sequences_ = std::move(sequences);
}

void KvCache::take(KvCache other) {
  SAFESAIL_CHECK(other.model_ == model_);
  std::ranges::move(other.sequences_, std::back_inserter(sequences_));
}

at::Tensor KvCache::rows(std::int64_t s, std::int64_t first, std::int64_t n) const {
  const c10::InferenceMode inference;
  const Sequence& sequence = sequences_[static_cast<std::size_t>(s)];
  SAFESAIL_CHECK(first >= 0 && n >= 1 && first + n <= sequence.length);
  const auto n_layers = static_cast<std::int64_t>(sequence.layers.size());
  at::Tensor rows = at::empty({n_layers, n, 2 * model_->spec().kv_dim()},
                              at::dtype(sequence.layers.front().scalar_type()));
  for (std::int64_t layer = 0; layer < n_layers; ++layer)
    rows[layer].copy_(sequence.layers[static_cast<std::size_t>(layer)].narrow(0, first, n));
  return rows;
}

void KvCache::extend(std::int64_t s, const at::Tensor& rows) {
  const c10::InferenceMode inference;
  Sequence& sequence = sequences_[static_cast<std::size_t>(s)];
  const std::int64_t n = rows.size(1);
  SAFESAIL_CHECK(sequence.length + n <= sequence.capacity);
  for (std::int64_t layer = 0; layer < rows.size(0); ++layer)
    sequence.layers[static_cast<std::size_t>(layer)]
        .narrow(0, sequence.length, n)
        .copy_(rows[layer]);
  sequence.length += n;
}

void KvCache::enlarge(Sequence& sequence, std::int64_t capacity) const {
  const c10::InferenceMode inference;
  const auto options =
      at::dtype(model_->options().dtype == ComputeType::bf16 ? at::kBFloat16 : at::kFloat)
          .device(model_->options().device);
  // A layer at a time: only one of them is there twice.
  for (at::Tensor& layer : sequence.layers) {
    at::Tensor larger = at::empty({capacity, 2 * model_->spec().kv_dim()}, options);
    if (sequence.length > 0)
      larger.narrow(0, 0, sequence.length).copy_(layer.narrow(0, 0, sequence.length));
    layer = std::move(larger);
  }
  sequence.capacity = capacity;
}

void KvCache::reserve(std::span<const std::int32_t> starts) {
  for (std::size_t s = 0; s < sequences_.size(); ++s) {
    Sequence& sequence = sequences_[s];
    const std::int64_t needed = sequence.length + starts[s + 1] - starts[s];
    if (needed <= sequence.capacity) continue;
    std::int64_t capacity = std::max(needed, 2 * sequence.capacity);
    if (needed <= sequence.longest) capacity = std::min(capacity, sequence.longest);
    enlarge(sequence, capacity);
  }
}

void KvCache::append(std::int64_t layer, const ModelSpec& spec, const at::Tensor& qkv,
                     std::span<AttentionSpan> spans) {
  const std::int64_t width = 2 * spec.kv_dim();
  for (std::size_t s = 0; s < spans.size(); ++s) {
    AttentionSpan& span = spans[s];
    const at::Tensor& store = sequences_[s].layers[static_cast<std::size_t>(layer)];
    const std::int64_t past = sequences_[s].length;
    store.narrow(0, past, span.n_queries)
        .copy_(qkv.narrow(0, span.first_row, span.n_queries).narrow(1, spec.q_dim(), width));
    span.n_keys = past + span.n_queries;
    const auto* data = static_cast<const std::byte*>(store.const_data_ptr());
    span.k = data;
    span.v = data + static_cast<std::size_t>(spec.kv_dim()) * store.element_size();
    span.kv_stride = width;
  }
}

void KvCache::advance(std::span<const std::int32_t> starts) {
  for (std::size_t s = 0; s < sequences_.size(); ++s)
    sequences_[s].length += starts[s + 1] - starts[s];
}

std::uint64_t KvCache::bytes_per_token(const LanguageModel& model) {
  const ModelSpec& spec = model.spec();
  const std::uint64_t element = model.options().dtype == ComputeType::bf16 ? 2 : 4;
  return static_cast<std::uint64_t>(spec.n_layers * 2 * spec.kv_dim()) * element;
}

}  // namespace safesail
