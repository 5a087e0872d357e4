// Languages by name and by code, as ICU knows them: people say "Hindi", the atlas keeps "hi".
#pragma once

#include <string>
#include <string_view>

namespace safesail {

struct Language {
  std::string code;  ///< ISO 639: "hi"
  std::string name;  ///< in English: "Hindi"
};

/// By either, whatever the case; an input error where ICU knows neither.
Language find_language(std::string_view text);

}  // namespace safesail
