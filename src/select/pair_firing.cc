#include "select/pair_firing.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "text/chat.h"

namespace safesail {
namespace {

/// Numbers for the texts of tokens, as PairFiring::word() gives them back.
class Words {
 public:
  std::uint32_t number_of(std::string_view token) {
    const auto begin = token.find_first_not_of(" \t\r\n");
    std::string word(begin == token.npos ? token : token.substr(begin));
    std::ranges::transform(word, word.begin(), [](char c) {
      return 'A' <= c && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    });
    const auto [found, is_new] =
        numbers_.emplace(word, static_cast<std::uint32_t>(numbers_.size()));
    if (is_new) words_.push_back(std::move(word));
    return found->second;
  }
  std::vector<std::string> take() { return std::move(words_); }

 private:
  std::unordered_map<std::string, std::uint32_t> numbers_;
  std::vector<std::string> words_;
};

}  // namespace

void PairFiring::merge(std::size_t text, const SparseCodes& codes, std::size_t first_row,
                       std::span<const std::uint32_t> words, float threshold) {
  std::map<std::int32_t, Firing> highest;
  for (const Firing& firing : texts_[text]) highest[firing.feature] = firing;
  for (std::size_t row = 0; row < words.size(); ++row) {
    const auto first = static_cast<std::size_t>(codes.offsets[first_row + row]);
    const auto last = static_cast<std::size_t>(codes.offsets[first_row + row + 1]);
    for (std::size_t i = first; i < last; ++i) {
      const float value = codes.values[i];
      if (value <= threshold) continue;
      Firing& firing = highest[codes.indices[i]];
      if (value > firing.max) firing = {codes.indices[i], value, words[row]};
    }
  }
  texts_[text].clear();
  for (const auto& [feature, firing] : highest) texts_[text].push_back(firing);
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
  Words words;
  while (const std::optional<CodedBatch> batch = stream.next()) {
    if (stop.stop_requested())
      failed("select", "stopped before all pairs were read", "run the same command again");
    for (const CodedPiece& piece : batch->pieces) {
      std::vector<std::uint32_t> numbers;
      for (std::size_t row = piece.first_row; row < piece.first_row + piece.n_rows; ++row) {
        const auto [begin, end] = batch->bytes[row];
        numbers.push_back(words.number_of(std::string_view(piece.text).substr(begin, end - begin)));
      }
      for (std::size_t s = 0; s < saes.size() && piece.n_rows > 0; ++s)
        firing[s].merge(static_cast<std::size_t>(piece.document), batch->codes[s], piece.first_row,
                        numbers, config.threshold);
      n_read = std::max<std::uint64_t>(n_read, piece.document + 1);
    }
    reporter.progress("read pairs", n_read, 2 * pairs.size(), "texts", "");
  }
  const auto known = std::make_shared<const std::vector<std::string>>(words.take());
  for (PairFiring& one : firing) one.set_words(known);
  return firing;
}

}  // namespace safesail
