// An input error that knows which field of a JSON document is at fault, for those who answer a
// program that asks which.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace safesail {

class FieldError : public Error {
 public:
  /// `field`: the way to it from the document's root, "messages[0].role".
  FieldError(std::string_view where, std::string field, std::string_view problem,
             std::string_view remedy)
      : Error(Fault::input, where, problem, remedy), field_(std::move(field)) {}

  const std::string& field() const noexcept { return field_; }

 private:
  std::string field_;
};

/// Calls `read`; its input errors name `field` where they name none.
template <class Read>
auto at_field(std::string_view field, Read read) {
  try {
    return read();
  } catch (const FieldError&) {
    throw;
  } catch (const Error& error) {
    if (error.fault() != Fault::input) throw;
    throw FieldError(error.where(), std::string(field), error.problem(), error.remedy());
  }
}

}  // namespace safesail
