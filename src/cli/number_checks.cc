#include "cli/number_checks.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdlib>
#include <string>

namespace safesail {
namespace {

/// NaN where the text is not a number and nothing else.
double number_in(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  return text.empty() || *end != '\0' ? std::nan("") : number;
}

CLI::Validator check(bool (*holds)(double), const char* expected, const char* name) {
  return {[holds, expected](const std::string& text) {
            const double number = number_in(text);
            const bool fits = std::isfinite(number) && holds(number);
            return fits ? std::string() : "expected " + std::string(expected) + ", got " + text;
          },
          name};
}

}  // namespace

CLI::Validator above_zero() {
  return check([](double number) { return number > 0; }, "a number above 0", "POSITIVE");
}

CLI::Validator zero_or_more() {
  return check([](double number) { return number >= 0; }, "0 or more", "NONNEGATIVE");
}

}  // namespace safesail
