#include "base/error.h"

#include <fmt/format.h>

namespace safesail {

Error::Error(Fault fault, std::string_view where, std::string_view problem, std::string_view remedy)
    : std::runtime_error(fmt::format("{}: {}\n  -> {}", where, problem, remedy)),
      fault_(fault),
      where_(where),
      problem_(problem),
      remedy_(remedy) {}

void bad_input(std::string_view where, std::string_view problem, std::string_view remedy) {
  throw Error(Fault::input, where, problem, remedy);
}

void failed(std::string_view where, std::string_view problem, std::string_view remedy) {
  throw Error(Fault::environment, where, problem, remedy);
}

void check_failed(const char* file, int line, const char* condition) {
  throw std::logic_error(fmt::format(
      "{}:{}: this should hold and does not: {}\n  -> please report this as a bug of Safesail",
      file, line, condition));
}

}  // namespace safesail
