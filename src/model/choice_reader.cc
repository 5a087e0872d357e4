#include "model/choice_reader.h"

#include <ATen/ATen.h>
#include <algorithm>

#include "base/error.h"
#include "base/memory.h"

namespace safesail {

ChoiceReader::Read ChoiceReader::read(std::span<const std::int32_t> ids,
                                      std::span<const std::size_t> seams,
                                      std::span<const std::size_t> places,
                                      std::span<const std::int32_t> choices) {
  if (places.empty()) return {};
  SAFESAIL_CHECK(places.front() >= 1 && places.back() < ids.size());
  SAFESAIL_CHECK(std::is_sorted(places.begin(), places.end()));
  ids = ids.first(places.back());
  const auto vocab = static_cast<std::uint64_t>(model_.spec().vocab_size);
  // As read, widened, and their log probabilities.
  const std::uint64_t bytes_per_logit = sizeof(std::uint16_t) + 2 * sizeof(float);
  if (model_.options().device == "cpu") {
    const std::uint64_t bytes =
        places.size() * vocab * bytes_per_logit + ids.size() * KvCache::bytes_per_token(model_);
    openings_.leave(bytes);
    require_memory(bytes, "the logits of the places", "ask about fewer places at a time");
  }

  KvCache cache(model_, 1, static_cast<std::int64_t>(ids.size()));
  // The first place reads the logits of the token before it.
  const PrefixCache::Opening opening = openings_.open(ids.first(places.front()), seams, cache);
  const auto rest = ids.subspan(opening.n_tokens);
  const std::vector<std::int32_t> starts{0, static_cast<std::int32_t>(rest.size())};
  const ForwardResult pass =
      model_.forward({.ids = rest, .starts = starts, .hidden = true, .cache = &cache});
  std::vector<std::int64_t> rows, columns(choices.begin(), choices.end());
  for (const std::size_t place : places)
    rows.push_back(static_cast<std::int64_t>(place - 1 - opening.n_tokens));
  const auto device = pass.hidden->device();
  const at::Tensor logits =
      model_.logits(pass.hidden->index_select(0, at::tensor(rows).to(device)));
  const at::Tensor read = at::log_softmax(logits, 1, at::kFloat)
                              .index_select(1, at::tensor(columns).to(device))
                              .cpu()
                              .contiguous();
  Read result{.n_known = opening.n_known};
  for (std::size_t p = 0; p < places.size(); ++p) {
    const float* const row = read.const_data_ptr<float>() + p * choices.size();
    result.logprobs.emplace_back(row, row + choices.size());
  }
  return result;
}

}  // namespace safesail
