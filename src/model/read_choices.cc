#include "model/read_choices.h"

#include <ATen/ATen.h>
#include <algorithm>

#include "base/error.h"
#include "base/memory.h"
#include "model/kv_cache.h"

namespace safesail {

std::vector<std::vector<float>> read_choices(const LanguageModel& model,
                                             std::span<const std::int32_t> ids,
                                             std::span<const std::size_t> places,
                                             std::span<const std::int32_t> choices) {
  if (places.empty()) return {};
  SAFESAIL_CHECK(places.front() >= 1 && places.back() < ids.size());
  SAFESAIL_CHECK(std::is_sorted(places.begin(), places.end()));
  // Logits are made from the token before the first place on, not for the long text before that.
  const std::size_t first = places.front() - 1;
  const auto before = ids.first(first), rest = ids.subspan(first, places.back() - first);
  const auto vocab = static_cast<std::uint64_t>(model.spec().vocab_size);
  if (model.options().device == "cpu")
    require_memory(2 * rest.size() * vocab * sizeof(float), "the logits of the places",
                   "ask about fewer places at a time");

  KvCache cache(model, 1, static_cast<std::int64_t>(ids.size()));
  if (!before.empty()) {
    const std::vector<std::int32_t> starts{0, static_cast<std::int32_t>(before.size())};
    model.forward({.ids = before, .starts = starts, .cache = &cache});
  }
  const std::vector<std::int32_t> starts{0, static_cast<std::int32_t>(rest.size())};
  const ForwardResult pass = model.forward(
      {.ids = rest, .starts = starts, .logits = ForwardRequest::Logits::all, .cache = &cache});
  std::vector<std::int64_t> rows, columns(choices.begin(), choices.end());
  for (const std::size_t place : places)
    rows.push_back(static_cast<std::int64_t>(place - 1 - first));
  const auto device = pass.logits->device();
  const at::Tensor read =
      at::log_softmax(pass.logits->index_select(0, at::tensor(rows).to(device)), 1)
          .index_select(1, at::tensor(columns).to(device))
          .cpu()
          .contiguous();
  std::vector<std::vector<float>> result;
  for (std::size_t p = 0; p < places.size(); ++p) {
    const float* const row = read.const_data_ptr<float>() + p * choices.size();
    result.emplace_back(row, row + choices.size());
  }
  return result;
}

}  // namespace safesail
