// The lexical findings as sentences for people.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "interpret/lexical_findings.h"

namespace safesail {

enum class SentenceLanguage { english, chinese };

/// `promoted`: readable output tokens, strongest first; `density`: share of all tokens.
std::string lexical_sentence(const LexicalFindings& findings,
                             const std::vector<std::string>& promoted, double density,
                             SentenceLanguage language);

/// What an English sentence of these says the feature fires on, without shares, promoted tokens and
/// density: "head, horn, face, in some contexts only. In texts with deer". Of other text nothing is
/// lost but percentages in brackets.
std::string lexical_gist(std::string_view sentence);

}  // namespace safesail
