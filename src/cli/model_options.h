// Options that several commands share: which model, in which precision, where.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/session.h"
#include "model/language_model.h"

namespace safesail {

struct ModelOptions {
  std::string path;
  std::string dtype = "bf16";
  std::string device = "cpu";

  LoadOptions load_options() const;
};

/// --model, --dtype, --device. `dtype_default` differs where numbers are compared with others.
void add_model_options(CLI::App& command, ModelOptions& options, const char* dtype_default);

/// "1,2,3" -> ids; an input error names what is not a number.
std::vector<std::int32_t> parse_ids(const std::string& text);

/// "-" reads standard input, everything else stands for itself.
std::string text_or_stdin(const std::string& text);

}  // namespace safesail
