#include "model/generate.h"

#include "base/memory.h"

namespace safesail {

std::vector<Generated> generate(const LanguageModel& model,
                                const std::vector<std::vector<std::int32_t>>& prompts,
                                const GenerateConfig& config, const TokenCallback& on_token,
                                std::stop_token stop) {
  check_sampling(config.sampling);
  std::vector<Generated> results(prompts.size());
  if (prompts.empty() || config.max_new_tokens <= 0) return results;

  Generator generator(model, {}, config.edits);
  for (std::size_t s = 0; s < prompts.size(); ++s)
    generator.add(prompts[s], {.max_new_tokens = config.max_new_tokens,
                               .sampling = config.sampling,
                               .stream = s,
                               .stop_tokens = config.stop_tokens,
                               .stop_at_eos = config.stop_at_eos});
  if (model.options().device == "cpu")
    require_memory(generator.bytes_to_come(), "the generation",
                   "generate fewer tokens or fewer sequences at a time");

  while (!generator.empty()) {
    std::vector<std::size_t> cancelled;
    for (const SequenceStep& step : generator.step().sequences) {
      Generated& result = results[step.sequence];
      if (config.on_logits) config.on_logits(step.sequence, step.logits);
      if (step.token) {
        result.ids.push_back(*step.token);
        if (on_token) on_token(step.sequence, *step.token);
      }
      if (step.end) result.end = *step.end;
      if (step.token && stop.stop_requested()) {
        result.end = SequenceEnd::cancelled;
        cancelled.push_back(step.sequence);
      }
    }
    for (const std::size_t sequence : cancelled) generator.remove(sequence);
  }
  return results;
}

}  // namespace safesail
