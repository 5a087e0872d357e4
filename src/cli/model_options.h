// Options that several commands share: which model, in which precision, where.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/session.h"
#include "formats/json.h"
#include "model/identity.h"
#include "model/language_model.h"

namespace safesail {

struct ModelOptions {
  std::string path;
  std::string dtype = "bf16";
  std::string device = "cpu";
  bool any_model = false;  ///< SAEs that were trained on another one are taken, too

  LoadOptions load_options() const;
  /// That SAEs must belong to; nothing: to any.
  std::optional<ModelIdentity> identity() const;
};

/// --model, --dtype, --device. `dtype_default` differs where numbers are compared with others.
void add_model_options(CLI::App& command, ModelOptions& options, const char* dtype_default);

/// --any-model, for commands in which SAEs meet the model.
void add_any_model_option(CLI::App& command, ModelOptions& options);

/// "1,2,3" -> ids; an input error names what is not a number.
std::vector<std::int32_t> parse_ids(const std::string& text);

/// "-" reads standard input, everything else stands for itself.
std::string text_or_stdin(const std::string& text);

/// --chat-template-kwargs, further variables of the chat template, and what it was given: null
/// without it.
void add_template_arguments(CLI::App& command, std::string& text);
Json template_arguments(const std::string& text);

}  // namespace safesail
