// A run as one TOML file: every key, its default and its meaning in one table (run_toml.cc), which
// the parser, the example and the errors share. docs/run.md is about it.
//
// The file is treated as hostile: its size is limited, an unknown key or a value of another type is
// an input error with its line, and the nearest keys are named.
#pragma once

#include <string>
#include <string_view>

#include "base/file.h"
#include "run/run_plan.h"

namespace safesail {

/// `where` names the text in errors. Paths stay as written: they are relative to the working
/// directory.
RunPlan parse_run_toml(std::string_view text, const std::string& where);

/// Reads a file; without a key `out` the run folder is the one that the file lies in. Otherwise a
/// copy is left in the run folder.
RunPlan read_run_toml(const fs::path& path);

/// A file with every key, its default and what it means; it can be parsed.
std::string example_run_toml();

}  // namespace safesail
