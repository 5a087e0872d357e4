#include "interpret/lexical_explainer.h"

#include <algorithm>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "interpret/lexical_findings.h"
#include "interpret/lexical_model.h"
#include "interpret/lexical_sentence.h"

namespace safesail {
namespace {

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) { return c < 0x80; });
}

/// Whether a token reads as a word or a piece of one: three letters or more (two where each is a
/// syllable or a word of its own), and nothing else.
bool is_readable(std::string_view token) {
  const auto n_bytes = static_cast<std::int32_t>(token.size());
  std::int32_t n_letters = 0;
  for (std::int32_t at = 0; at < n_bytes; ++n_letters) {
    UChar32 character = 0;
    U8_NEXT(reinterpret_cast<const std::uint8_t*>(token.data()), at, n_bytes, character);
    if (character < 0 || !u_isalpha(character)) return false;
  }
  return n_letters >= (is_ascii(token) ? 3 : 2);
}

/// The first few that are, once each; a piece that goes on a word has a hyphen in front.
std::vector<std::string> readable(const std::vector<WeightedToken>& tokens) {
  constexpr std::size_t kMaxTokens = 5;
  std::vector<std::string> texts, folded;
  for (const WeightedToken& token : tokens) {
    std::string_view text = token.text;
    const bool begins_word = text.starts_with(' ');
    if (begins_word) text.remove_prefix(1);
    if (texts.size() == kMaxTokens || !is_readable(text)) continue;
    std::string same = fold_case(text);
    if (std::ranges::find(folded, same) != folded.end()) continue;
    folded.push_back(std::move(same));
    texts.push_back((begins_word || !is_ascii(text) ? "" : "-") + std::string(text));
  }
  return texts;
}

}  // namespace

LexicalExplanation explain_lexically(const FeatureRecord& record) {
  std::vector<const Exemplar*> exemplars;
  for (const Exemplar& exemplar : record.exemplars)
    if (exemplar.use == Use::explain) exemplars.push_back(&exemplar);
  const LexicalFindings findings = find_words(exemplars, record.quantile);
  const std::vector<std::string> promoted = readable(record.promoted);
  const auto sentence = [&](SentenceLanguage language) {
    return lexical_sentence(findings, promoted, record.density(), language);
  };
  return {.english = {.text = sentence(SentenceLanguage::english),
                      .lexicon = to_json(fit_lexicon(exemplars, record.quantile))},
          .chinese = sentence(SentenceLanguage::chinese)};
}

}  // namespace safesail
