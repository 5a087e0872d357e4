// The one error type of Safesail.
//
// Libraries report every fault of a caller, a file, a setting or the machine by throwing `Error`;
// its text says where, what was expected and what came, and what to do next. Our own bugs are
// reported by SAFESAIL_CHECK (std::logic_error). No library prints, exits or aborts.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace safesail {

/// Whose fault it is; the program's exit code follows from it.
enum class Fault {
  input,        ///< the user's file, setting or text: exit code 2
  environment,  ///< the machine: disk full, no memory, network, interrupted: exit code 1
};

class Error : public std::runtime_error {
 public:
  /// `where`: file, key or line; `problem`: "expected X, got Y"; `remedy`: the next step,
  /// imperative.
  Error(Fault fault, std::string_view where, std::string_view problem, std::string_view remedy);

  Fault fault() const noexcept { return fault_; }
  const std::string& where() const noexcept { return where_; }
  const std::string& problem() const noexcept { return problem_; }
  const std::string& remedy() const noexcept { return remedy_; }

 private:
  Fault fault_;
  std::string where_, problem_, remedy_;
};

/// Throws Error{Fault::input, ...}.
[[noreturn]] void bad_input(std::string_view where, std::string_view problem,
                            std::string_view remedy);

/// Throws Error{Fault::environment, ...}.
[[noreturn]] void failed(std::string_view where, std::string_view problem, std::string_view remedy);

[[noreturn]] void check_failed(const char* file, int line, const char* condition);

}  // namespace safesail

/// Guards an invariant of our own code; throws std::logic_error when it does not hold.
#define SAFESAIL_CHECK(condition)         \
  (static_cast<bool>(condition) ? void(0) \
                                : ::safesail::check_failed(__FILE__, __LINE__, #condition))
