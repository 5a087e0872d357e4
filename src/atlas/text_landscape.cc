// A landscape where there are no weights: features whose explanations speak of the same things lie
// beside each other.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "atlas/landscape.h"
#include "base/rng.h"

namespace safesail {
namespace {

/// Words are hashed to random directions of this many dimensions, which keeps the angles between
/// texts to about 1 / sqrt(256).
constexpr std::size_t kDimensions = 256;

/// Runs of letters and digits, in lower case; whatever is not ASCII counts as a letter.
std::set<std::string> words_of(const std::string& text) {
  std::set<std::string> words;
  std::string word;
  for (const char c : text + " ") {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80 || std::isalnum(byte) != 0)
      word += static_cast<char>(byte < 0x80 ? std::tolower(byte) : byte);
    else if (!word.empty())
      words.insert(std::exchange(word, {}));
  }
  return words;
}

}  // namespace

std::size_t lay_out_texts(Atlas& atlas, std::uint64_t seed) {
  std::vector<std::int64_t> ids;
  std::vector<std::size_t> place;  // of each feature's text
  // Of the same words: one point, or t-SNE would push the heap of them far away.
  std::map<std::set<std::string>, std::size_t> texts;
  for (const SaeRow& sae : atlas.saes())
    for (const KnownFeature& feature : atlas.known_features(*atlas.find_sae(sae.model, sae.name))) {
      if (feature.explanations.empty()) continue;
      const auto english = feature.explanations.find("en");
      const std::string& text = english != feature.explanations.end()
                                    ? english->second
                                    : feature.explanations.begin()->second;
      ids.push_back(feature.id);
      place.push_back(texts.try_emplace(words_of(text), texts.size()).first->second);
    }
  std::map<std::string, std::vector<std::size_t>> texts_with;  // by word
  for (const auto& [words, at] : texts)
    for (const std::string& word : words) texts_with[word].push_back(at);

  std::vector<float> rows(texts.size() * kDimensions);
  for (const auto& [word, those] : texts_with) {
    if (those.size() == 1) continue;  // brings nothing together
    const double weight =
        std::log(static_cast<double>(texts.size()) / static_cast<double>(those.size()));
    Rng rng(seed, word);
    std::vector<float> direction(kDimensions);
    for (float& value : direction) value = static_cast<float>(weight * rng.normal());
    for (const std::size_t i : those)
      for (std::size_t k = 0; k < kDimensions; ++k) rows[i * kDimensions + k] += direction[k];
  }
  const PlanePoints points = lay_out(rows, texts.size(), kDimensions, seed);
  std::vector<float> x, y;
  for (const std::size_t at : place) {
    x.push_back(points.x[at]);
    y.push_back(points.y[at]);
  }
  atlas.put_coordinates(ids, x, y);
  return ids.size();
}

}  // namespace safesail
