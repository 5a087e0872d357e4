// An answer that says no: what a route throws and what a client reads.
#pragma once

#include <exception>
#include <optional>
#include <string>

namespace safesail {

/// Thrown anywhere while a request is read or answered, it becomes the answer.
struct Refusal : std::exception {
  Refusal(int status_, std::string code_, std::string message_, std::string remedy_)
      : status(status_),
        code(std::move(code_)),
        message(std::move(message_)),
        remedy(std::move(remedy_)) {}
  const char* what() const noexcept override { return message.c_str(); }

  int status;
  std::string code;     ///< "bad_request", "not_found"...
  std::string message;  ///< a sentence
  std::string remedy;   ///< what to do
  std::string allow;    ///< methods, of a 405
  std::string field;    ///< of the body, that is at fault; empty where none is known
};

/// What a client reads of `fault`: a Refusal itself, an input Error as 400, another one as 500;
/// nothing for what is a bug of ours.
std::optional<Refusal> refusal_for(const std::exception& fault);

/// What a client reads of such a bug.
Refusal internal_fault();

/// The code that goes with a status.
std::string code_of_status(int status);

/// {"error": {"code", "message", "remedy"}}
std::string error_json(const Refusal& refusal);

}  // namespace safesail
