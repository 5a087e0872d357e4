// What is diagnosed, as `trace` and `serve` let people name it: a run; a model with SAEs and an
// atlas; or the published Safe-SAIL release.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/model_options.h"
#include "diagnose/subject.h"

namespace safesail {

struct SubjectOptions {
  ModelOptions model;
  std::string run, atlas, release;
  std::vector<std::string> saes;
  std::optional<std::int64_t> k;

  bool is_empty() const { return run.empty() && release.empty() && saes.empty(); }
  /// Of what is named; where a release has none yet, the one beside it, or nothing.
  std::optional<fs::path> atlas_file() const;
};

void add_subject_options(CLI::App& command, SubjectOptions& options);

/// Makes the atlas of a release where there is none yet.
void import_release_once(const SubjectOptions& options, Reporter& reporter);

/// An input error unless exactly one of the three is named.
Subject load_subject(const SubjectOptions& options, Reporter& reporter);

}  // namespace safesail
