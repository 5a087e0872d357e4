#include "cli/program.h"

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <fmt/format.h>
#include <new>
#include <pthread.h>
#include <stop_token>
#include <thread>
#include <unistd.h>

#include "base/cpu.h"
#include "base/error.h"
#include "base/version.h"
#include "cli/parse_error.h"
#include "cli/print.h"
#include "cli/session.h"
#include "model/compute.h"

namespace safesail {
namespace {

constexpr int kDone = 0, kFailed = 1, kBadInput = 2;

/// Ctrl-C and a polite kill ask for a stop, which long work honours at its next safe point; the
/// second one ends at once. Every write is atomic, so that is safe too.
void watch_signals(std::stop_source stop) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([signals, stop]() mutable {
    int signal = 0;
    sigwait(&signals, &signal);
    stop.request_stop();
    print_error("\nstopping at the next safe point; press Ctrl-C again to end at once\n");
    sigwait(&signals, &signal);
    ::_exit(128 + signal);
  }).detach();
}

int run_action(Session& session) {
  try {
    // Held back before the first kernel runs.
    const char* target = std::getenv("SAFESAIL_CPU_TARGET");
    if (target != nullptr && *target != '\0') choose_kernel_target(target);
    session.action();
    return kDone;
  } catch (const Error& error) {
    session.reporter.reset();  // closes an open progress line
    print_error("error: {}\n", error.what());
    return error.fault() == Fault::input ? kBadInput : kFailed;
  } catch (const std::bad_alloc&) {
    session.reporter.reset();
    print_error(
        "error: memory: the machine has no more\n  -> use a smaller model, batch or block\n");
  } catch (const std::exception& error) {
    session.reporter.reset();
    print_error("error: {}\n", error.what());
  }
  return kFailed;
}

}  // namespace

int run_program(int argc, char** argv) {
  std::stop_source stop;
  watch_signals(stop);
  Session session;
  session.stop = stop.get_token();

  CLI::App app(
      "Safesail trains sparse autoencoders on a language model, finds the features that stand for "
      "safety\n"
      "risks, and lets people diagnose the model with them.\n");
  app.set_version_flag("--version", std::string("safesail ") + kVersion);
  app.add_option("--threads", session.threads, "CPU threads; 0: OMP_NUM_THREADS, else one a core")
      ->check(CLI::Range(0, 1024));
  app.add_flag("-q,--quiet", session.quiet, "No progress, no notes; warnings and errors only");
  app.require_subcommand(1);
  app.fallthrough();
  add_demo_command(app, session);
  add_doctor_command(app, session);
  add_model_commands(app, session);
  add_run_command(app, session);
  add_harvest_command(app, session);
  add_trace_command(app, session);
  add_train_command(app, session);
  add_evaluate_command(app, session);
  add_sae_commands(app, session);
  add_atlas_commands(app, session);
  add_select_command(app, session);
  add_exemplars_command(app, session);
  add_explain_command(app, session);
  add_score_command(app, session);
  add_serve_command(app, session);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // help and version
    print_parse_error(app, error);
    return kBadInput;
  }
  session.reporter = std::make_unique<TerminalReporter>(session.quiet);
  set_compute_threads(session.threads);
  return run_action(session);
}

}  // namespace safesail
