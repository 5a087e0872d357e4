// `safesail run`: a whole run from one TOML file, as far as it is not done yet.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>

#include "base/error.h"
#include "cli/phase2_summary.h"
#include "cli/print.h"
#include "cli/results_table.h"
#include "cli/session.h"
#include "run/run_toml.h"

namespace safesail {
namespace {

struct RunOptions {
  std::string file, force;
  bool example = false;
};

void run_run(const RunOptions& options, Session& session) {
  if (options.example) {
    print("{}", example_run_toml());
    return;
  }
  if (options.file.empty())
    bad_input("run", "expected a TOML file", "safesail run --example prints one to start from");
  const RunPlan plan = read_run_toml(options.file);
  const std::string out = plan.phase1.out.string();
  const PlanResult result =
      run_plan(plan, options.force.empty() ? std::nullopt : std::optional(options.force),
               *session.reporter, session.stop);
  if (result.phase1.cells.empty())
    print("{}: phase 1 is done; see {}/report.html\n", options.file, out);
  else
    print("\n{}\n{}\n", results_table(result.phase1.cells), speed_line(result.phase1));
  if (result.phase2) print("\n{}", phase2_summary(*result.phase2, plan.phase1.out));
  result.phase1.training.require_all_finished();
}

}  // namespace

void add_run_command(CLI::App& app, Session& session) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command =
      app.add_subcommand("run", "Do what is missing of a run that a TOML file describes");
  command->add_option("file", options->file, "The run, usually runs/NAME/safesail.toml");
  command->add_option(
      "--force", options->force,
      "Repeat this stage and those after it: train, evaluate, select, exemplars, explain or score");
  command->add_flag("--example", options->example, "Print a file with every key and its meaning");
  command->footer(
      "Example:\n  safesail run --example > runs/first/safesail.toml\n  safesail run "
      "runs/first/safesail.toml");
  command->callback(
      [=, &session] { session.action = [=, &session] { run_run(*options, session); }; });
}

}  // namespace safesail
