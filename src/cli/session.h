// What every subcommand gets: the reporter, the stop token of Ctrl-C, and the place to put its
// action.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "cli/terminal.h"

namespace CLI {
class App;
}

namespace safesail {

struct Session {
  std::stop_token stop;  ///< requested by the first Ctrl-C; a second one ends the program
  int threads = 0;       ///< 0: one a core
  bool quiet = false;
  std::unique_ptr<Reporter> reporter;  ///< set before the action runs
  std::function<void()> action;        ///< set by the subcommand that the user named
};

// Each adds its subcommands to `app`; the callbacks set `session.action`.
void add_atlas_commands(CLI::App& app, Session& session);
void add_demo_command(CLI::App& app, Session& session);
void add_doctor_command(CLI::App& app, Session& session);
void add_generate_command(CLI::App& model, Session& session);
void add_model_commands(CLI::App& app, Session& session);
void add_harvest_command(CLI::App& app, Session& session);
void add_run_command(CLI::App& app, Session& session);
void add_trace_command(CLI::App& app, Session& session);
void add_train_command(CLI::App& app, Session& session);
void add_evaluate_command(CLI::App& app, Session& session);
void add_select_command(CLI::App& app, Session& session);
void add_exemplars_command(CLI::App& app, Session& session);
void add_explain_command(CLI::App& app, Session& session);
void add_score_command(CLI::App& app, Session& session);
void add_serve_command(CLI::App& app, Session& session);
void add_sae_commands(CLI::App& app, Session& session);
void add_sae_convert_command(CLI::App& sae, Session& session);

}  // namespace safesail
