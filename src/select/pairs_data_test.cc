// The project's own pairs as tokenizers see them: more tokens on one side would be more chances to
// fire. Form and words are checked by scripts/check_pairs.py.
#include <cmath>
#include <gtest/gtest.h>
#include <map>

#include "select/pairs.h"
#include "text/tokenizer.h"

namespace safesail {
namespace {

class PairsData : public testing::TestWithParam<const char*> {};

TEST_P(PairsData, HaveAsManyTokensOnEitherSide) {
  const fs::path source = SAFESAIL_SOURCE_DIR, path = source / ".deps" / GetParam();
  if (!fs::exists(path)) GTEST_SKIP() << path << " is not here";
  const Tokenizer tokenizer = Tokenizer::load(path);
  for (const std::string language : {"en", "zh", "hi"}) {
    std::map<std::string, std::pair<double, double>> n_tokens;  // "" for all subclasses together
    for (const ContrastPair& pair : read_pairs({source / "data/pairs" / (language + ".jsonl")}))
      for (const std::string& of : {std::string(), pair.subclass}) {
        n_tokens[of].first += static_cast<double>(tokenizer.encode(pair.text, false).ids.size());
        n_tokens[of].second +=
            static_cast<double>(tokenizer.encode(pair.counterpart, false).ids.size());
      }
    // The bounds of the lengths in characters.
    for (const auto& [subclass, n] : n_tokens)
      EXPECT_LE(std::abs(n.first - n.second) / std::max(n.first, n.second),
                subclass.empty() ? 0.05 : 0.10)
          << language << " " << subclass << ": " << n.first << " against " << n.second;
  }
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, PairsData,
                         testing::Values("models/smollm2-135m-instruct-q4_1.gguf",
                                         "tokenizers/qwen3", "tokenizers/gemma3",
                                         "tokenizers/llama3"));

}  // namespace
}  // namespace safesail
