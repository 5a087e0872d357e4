#include "model/generate.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <fmt/format.h>

#include "base/error.h"
#include "base/memory.h"
#include "model/kv_cache.h"

namespace safesail {
namespace {

bool contains(const std::vector<std::int32_t>& ids, std::int32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

/// Tokens that a sequence may still take.
std::int64_t room_after(const ModelSpec& spec, std::size_t prompt_length, std::int64_t wanted) {
  if (!spec.learned_positions) return wanted;
  return std::min(wanted, spec.max_positions - static_cast<std::int64_t>(prompt_length));
}

}  // namespace

std::vector<Generated> generate(const LanguageModel& model,
                                const std::vector<std::vector<std::int32_t>>& prompts,
                                const GenerateConfig& config, const TokenCallback& on_token,
                                std::stop_token stop) {
  check_sampling(config.sampling);
  std::vector<Generated> results(prompts.size());
  if (prompts.empty() || config.max_new_tokens <= 0) return results;

  // The sequences that go on, by index; their tokens of the next pass, packed.
  std::vector<std::size_t> open;
  std::vector<std::int32_t> ids, starts{0};
  std::vector<Sampler> samplers;
  std::size_t longest = 0;
  for (std::size_t s = 0; s < prompts.size(); ++s) {
    if (prompts[s].empty())
      bad_input(fmt::format("prompt {}", s), "expected at least one token, got none",
                "begin the prompt with the model's BOS token or some text");
    open.push_back(s);
    samplers.emplace_back(config.sampling, s);
    ids.insert(ids.end(), prompts[s].begin(), prompts[s].end());
    starts.push_back(static_cast<std::int32_t>(ids.size()));
    longest = std::max(longest, prompts[s].size());
  }
  const std::int64_t capacity = static_cast<std::int64_t>(longest) + config.max_new_tokens;
  const std::uint64_t element = model.options().dtype == ComputeType::bf16 ? 2 : 4;
  if (model.options().device == "cpu")
    require_memory(KvCache::bytes_per_token(model.spec(), element) *
                       static_cast<std::uint64_t>(capacity) * prompts.size(),
                   "the key-value cache", "generate fewer tokens or fewer sequences at a time");
  KvCache cache(model, static_cast<std::int64_t>(prompts.size()), capacity);

  while (!open.empty()) {
    const ForwardResult pass = model.forward({.ids = ids,
                                              .starts = starts,
                                              .edits = config.edits,
                                              .logits = ForwardRequest::Logits::last_of_each,
                                              .cache = &cache});
    const at::Tensor logits = pass.logits->cpu().contiguous();
    const auto vocab = static_cast<std::size_t>(logits.size(1));
    std::vector<std::int64_t> kept;
    std::vector<std::size_t> still_open;
    ids.clear();
    starts.assign(1, 0);
    for (std::size_t row = 0; row < open.size(); ++row) {
      const std::size_t s = open[row];
      Generated& result = results[s];
      const std::span<const float> scores(logits.const_data_ptr<float>() + row * vocab, vocab);
      if (config.on_logits) config.on_logits(s, scores);
      const std::int32_t next = samplers[s].next(scores);
      if (contains(config.stop_tokens, next) ||
          (config.stop_at_eos && contains(model.spec().eos, next))) {
        result.end = Generated::End::stop_token;
        continue;
      }
      result.ids.push_back(next);
      if (on_token) on_token(s, next);
      if (stop.stop_requested()) {
        result.end = Generated::End::cancelled;
      } else if (static_cast<std::int64_t>(result.ids.size()) <
                 room_after(model.spec(), prompts[s].size(), config.max_new_tokens)) {
        kept.push_back(static_cast<std::int64_t>(row));
        still_open.push_back(s);
        ids.push_back(next);
        starts.push_back(static_cast<std::int32_t>(ids.size()));
      }
    }
    if (!still_open.empty() && still_open.size() < open.size()) cache.keep(kept);
    open = std::move(still_open);
  }
  return results;
}

}  // namespace safesail
