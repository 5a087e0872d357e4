#include "cli/subject_options.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "atlas/atlas.h"
#include "atlas/release.h"
#include "base/error.h"
#include "cli/number_checks.h"
#include "diagnose/release_subject.h"

namespace safesail {
namespace {

Subject load_release(const SubjectOptions& options, Reporter& reporter) {
  if (options.model.path.empty())
    bad_input("--release", fmt::format("expected its model, {}, got none", kReleaseModel),
              "name it with --model, or in the environment as SOURCE_MODEL");
  import_release_once(options, reporter);
  return subject_of_release({.folder = options.release,
                             .model = options.model.path,
                             .atlas = *options.atlas_file(),
                             .k = options.k.value_or(200)},
                            options.model.load_options(), reporter);
}

}  // namespace

std::optional<fs::path> SubjectOptions::atlas_file() const {
  if (!atlas.empty()) return atlas_path(atlas);
  if (!release.empty()) return fs::path(release) / "atlas.sqlite";
  if (!run.empty() && fs::exists(atlas_path(run))) return atlas_path(run);
  return std::nullopt;
}

void import_release_once(const SubjectOptions& options, Reporter& reporter) {
  const fs::path atlas = *options.atlas_file();
  if (fs::exists(atlas)) return;
  const fs::path database = release_database(options.release);
  if (atlas.has_parent_path()) fs::create_directories(atlas.parent_path());
  Atlas made(atlas);
  import_release(made, database);
  reporter.note(fmt::format("imported the release into {}", atlas.string()));
}

void add_subject_options(CLI::App& command, SubjectOptions& options) {
  command.add_option("--run", options.run, "Folder of a run: its model, SAEs and atlas");
  add_model_options(command, options.model, "bf16");
  command.get_option("--model")->required(false)->envname("SOURCE_MODEL");
  add_any_model_option(command, options.model);
  command.add_option("--sae", options.saes, "SAEs, files or folders of any known dialect");
  command.add_option(
      "-a,--atlas", options.atlas,
      "Neuron database, or the folder of its run, that knows the SAEs' features; else "
      "the run's own");
  command.add_option("--release", options.release,
                     "Folder of the published Safe-SAIL release (sae_checkpoints/, neuron_db/, "
                     "activation/)");
  command.add_option("--k", options.k, "k of TopK SAEs whose files do not hold it")
      ->check(above_zero());
}

Subject load_subject(const SubjectOptions& options, Reporter& reporter) {
  const int n_named =
      int{!options.run.empty()} + int{!options.release.empty()} + int{!options.saes.empty()};
  if (n_named != 1)
    bad_input("what to diagnose",
              fmt::format("expected one of --run, --sae and --release, got {}", n_named),
              "name a run; or --model and --sae; or --release and its --model");
  if (!options.release.empty()) return load_release(options, reporter);
  if (!options.run.empty())
    return subject_of_run({.run = options.run,
                           .model = options.model.path,
                           .atlas = options.atlas,
                           .any_model = options.model.any_model},
                          options.model.load_options(), reporter);
  if (options.model.path.empty())
    bad_input("--sae", "expected the model that they read, got none", "name it with --model");
  return subject_of_files({.model = options.model.path,
                           .saes = options.saes,
                           .atlas = options.atlas,
                           .k = options.k,
                           .any_model = options.model.any_model},
                          options.model.load_options(), reporter);
}

}  // namespace safesail
