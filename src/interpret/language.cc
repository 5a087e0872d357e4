#include "interpret/language.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fmt/format.h>
#include <unicode/uloc.h>

#include "base/error.h"
#include "formats/json.h"

namespace safesail {
namespace {

std::string name_of(const char* code) {
  constexpr std::int32_t kMaxLength = 128;
  std::array<UChar, kMaxLength> wide{};
  UErrorCode status = U_ZERO_ERROR;
  const std::int32_t length = uloc_getDisplayLanguage(code, "en", wide.data(), kMaxLength, &status);
  std::string name;
  // Names in English are ASCII but for a few; those are found by their code.
  for (std::int32_t i = 0; U_SUCCESS(status) && i < std::min(length, kMaxLength); ++i)
    name += wide[static_cast<std::size_t>(i)] < 0x80
                ? static_cast<char>(wide[static_cast<std::size_t>(i)])
                : '?';
  return name;
}

bool is_same(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

}  // namespace

Language find_language(std::string_view text) {
  for (const char* const* code = uloc_getISOLanguages(); *code != nullptr; ++code)
    if (const std::string name = name_of(*code); is_same(text, *code) || is_same(text, name))
      return {*code, name};
  bad_input("language", fmt::format("expected one as in Hindi or hi, got {}", printable(text)),
            "give its English name, or its ISO 639 code");
}

}  // namespace safesail
