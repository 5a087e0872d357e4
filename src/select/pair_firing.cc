#include "select/pair_firing.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/memory.h"
#include "text/chat.h"

namespace safesail {

void PairFiring::merge(std::size_t text, const SparseCodes& codes, std::size_t first_row,
                       std::size_t n_rows, float threshold) {
  std::map<std::int32_t, float> highest;
  for (const Firing& firing : texts_[text]) highest[firing.feature] = firing.max;
  const auto first = static_cast<std::size_t>(codes.offsets[first_row]);
  const auto last = static_cast<std::size_t>(codes.offsets[first_row + n_rows]);
  for (std::size_t i = first; i < last; ++i)
    if (codes.values[i] > threshold) {
      float& max = highest[codes.indices[i]];
      max = std::max(max, codes.values[i]);
    }
  texts_[text].clear();
  for (const auto& [feature, max] : highest) texts_[text].push_back({feature, max});
}

std::vector<PairFiring> read_pair_firing(const LanguageModel& model, const Tokenizer& tokenizer,
                                         const std::vector<SaeAtSite>& saes,
                                         const std::vector<ContrastPair>& pairs,
                                         const FiringConfig& config, Reporter& reporter,
                                         std::stop_token stop) {
  std::vector<PairFiring> firing;
  for (const SaeAtSite& sae : saes) firing.emplace_back(pairs.size(), sae.sae->spec().n_features);
  std::size_t next_text = 0;
  const auto document = [&]() -> std::optional<Document> {
    if (next_text == 2 * pairs.size()) return std::nullopt;
    const ContrastPair& pair = pairs[next_text / 2];
    const std::string& text = next_text % 2 == 0 ? pair.text : pair.counterpart;
    return Document{.id = next_text++,
                    .text = config.chat ? render_chat(tokenizer, {{"user", text}}, true) : text,
                    .is_chat = config.chat};
  };
  CodedStream stream(model, tokenizer, saes, document, config.batch);
  state_memory("model, SAEs and program", {{stream.memory_bytes(), "the passes over the pairs"}},
               "the pairs", "select in fewer SAEs", reporter);
  std::uint64_t n_read = 0;
  while (const std::optional<CodedBatch> batch = stream.next()) {
    if (stop.stop_requested())
      failed("select", "stopped before all pairs were read", "run the same command again");
    for (const CodedPiece& piece : batch->pieces) {
      for (std::size_t s = 0; s < saes.size() && piece.n_rows > 0; ++s)
        firing[s].merge(static_cast<std::size_t>(piece.document), batch->codes[s], piece.first_row,
                        piece.n_rows, config.threshold);
      n_read = std::max<std::uint64_t>(n_read, piece.document + 1);
    }
    reporter.progress("read pairs", n_read, 2 * pairs.size(), "texts", "");
  }
  return firing;
}

}  // namespace safesail
