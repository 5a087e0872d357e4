// The lexical findings as sentences for people.
#pragma once

#include <string>
#include <vector>

#include "interpret/lexical_findings.h"

namespace safesail {

enum class SentenceLanguage { english, chinese };

/// `promoted`: readable output tokens, strongest first; `density`: share of all tokens.
std::string lexical_sentence(const LexicalFindings& findings,
                             const std::vector<std::string>& promoted, double density,
                             SentenceLanguage language);

}  // namespace safesail
