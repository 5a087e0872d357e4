#include "model/choice_reader.h"

#include <ATen/ATen.h>
#include <algorithm>

#include "base/error.h"
#include "base/memory.h"

namespace safesail {
namespace {

/// As many as there are kinds of questions about one explanation.
constexpr std::size_t kOpenings = 4;

/// Appends tokens to the only sequence of `cache`; their final hidden states.
at::Tensor append(const LanguageModel& model, std::span<const std::int32_t> ids, KvCache& cache) {
  const std::vector<std::int32_t> starts{0, static_cast<std::int32_t>(ids.size())};
  return *model.forward({.ids = ids, .starts = starts, .hidden = true, .cache = &cache}).hidden;
}

}  // namespace

KvCache& ChoiceReader::open(std::span<const std::int32_t> ids, std::int64_t capacity,
                            std::size_t& n_known) {
  const auto known = std::ranges::find_if(
      openings_, [&](const Opening& opening) { return std::ranges::equal(opening.ids, ids); });
  if (known != openings_.end()) {
    openings_.splice(openings_.begin(), openings_, known);
    // Here and not when its last text was done, which may have ended in an error.
    known->cache.shorten(0, static_cast<std::int64_t>(ids.size()));
    n_known = ids.size();
    return known->cache;
  }
  KvCache cache(model_, 1, capacity);
  if (!ids.empty()) append(model_, ids, cache);
  if (openings_.size() == kOpenings) openings_.pop_back();
  openings_.push_front({{ids.begin(), ids.end()}, std::move(cache)});
  return openings_.front().cache;
}

ChoiceReader::Read ChoiceReader::read(std::span<const std::int32_t> ids, std::size_t n_opening,
                                      std::span<const std::size_t> places,
                                      std::span<const std::int32_t> choices) {
  if (places.empty()) return {};
  SAFESAIL_CHECK(places.front() >= 1 && places.back() < ids.size());
  SAFESAIL_CHECK(std::is_sorted(places.begin(), places.end()));
  n_opening = std::min(n_opening, places.front() - 1);
  const auto rest = ids.subspan(n_opening, places.back() - n_opening);
  const auto vocab = static_cast<std::uint64_t>(model_.spec().vocab_size);
  // As read, widened, and their log probabilities.
  const std::uint64_t bytes_per_logit = sizeof(std::uint16_t) + 2 * sizeof(float);
  if (model_.options().device == "cpu")
    require_memory(places.size() * vocab * bytes_per_logit +
                       kOpenings * ids.size() * KvCache::bytes_per_token(model_),
                   "the logits of the places", "ask about fewer places at a time");

  Read result;
  KvCache& cache =
      open(ids.first(n_opening), static_cast<std::int64_t>(ids.size()), result.n_known);
  const at::Tensor hidden = append(model_, rest, cache);
  std::vector<std::int64_t> rows, columns(choices.begin(), choices.end());
  for (const std::size_t place : places)
    rows.push_back(static_cast<std::int64_t>(place - 1 - n_opening));
  const auto device = hidden.device();
  const at::Tensor logits = model_.logits(hidden.index_select(0, at::tensor(rows).to(device)));
  const at::Tensor read = at::log_softmax(logits, 1, at::kFloat)
                              .index_select(1, at::tensor(columns).to(device))
                              .cpu()
                              .contiguous();
  for (std::size_t p = 0; p < places.size(); ++p) {
    const float* const row = read.const_data_ptr<float>() + p * choices.size();
    result.logprobs.emplace_back(row, row + choices.size());
  }
  return result;
}

}  // namespace safesail
