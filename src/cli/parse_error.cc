#include "cli/parse_error.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <string>
#include <string_view>
#include <vector>

#include "cli/print.h"
#include "formats/nearest.h"

namespace safesail {
namespace {

/// The command that the user got to, and the words up to it.
struct Reached {
  const CLI::App* command;
  std::string words = "safesail";
};

Reached reached_by(const CLI::App& app) {
  Reached reached{&app};
  for (auto next = app.get_subcommands(); !next.empty(); next = next.front()->get_subcommands()) {
    reached.command = next.front();
    reached.words += " " + next.front()->get_name();
  }
  return reached;
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

/// A candidate by which a typing mistake can be told, else nothing.
struct Meant {
  std::string words;
  std::size_t n_edits = 3;  ///< more are another word

  void consider(std::string_view typed, std::string_view name, const std::string& candidate) {
    const std::size_t n = edits_between(typed, name);
    if (n >= n_edits || n * 2 > name.size()) return;
    n_edits = n;
    words = candidate;
  }
};

void consider_commands(const CLI::App& app, const std::string& path, std::string_view typed,
                       Meant& meant) {
  for (const CLI::App* command : commands_of(app)) {
    const std::string words = path + " " + command->get_name();
    meant.consider(typed, command->get_name(), words);
    consider_commands(*command, words, typed, meant);
  }
}

std::string option_meant(const CLI::App& command, std::string_view typed) {
  Meant meant;
  const std::string name(typed.substr(0, typed.find('=')));
  for (const CLI::App* app = &command; app != nullptr; app = app->get_parent())
    for (const CLI::Option* option : app->get_options())
      for (const std::string& known : option->get_lnames())
        meant.consider(name, "--" + known, "--" + known);
  return meant.words;
}

void complain(const std::string& problem, const std::string& meant, const std::string& words) {
  print_error("error: {}\n  -> {}'{} --help' lists what there is\n", problem,
              meant.empty() ? "" : fmt::format("did you mean '{}'? ", meant), words);
}

}  // namespace

void print_parse_error(const CLI::App& app, const CLI::ParseError& error) {
  const Reached reached = reached_by(app);
  const bool wants_command = !commands_of(*reached.command).empty();
  const std::vector<std::string> unknown = app.remaining(true);
  if (!unknown.empty() && unknown.front().starts_with("-")) {
    complain(fmt::format("{}: expected an option of this command, got '{}'", reached.words,
                         unknown.front()),
             option_meant(*reached.command, unknown.front()), reached.words);
  } else if (!unknown.empty() && wants_command) {
    Meant meant;
    consider_commands(app, "safesail", unknown.front(), meant);
    complain(fmt::format("{}: expected a command, got '{}'", reached.words, unknown.front()),
             meant.words, reached.words);
  } else if (!unknown.empty()) {
    complain(fmt::format("{}: expected options, got '{}'", reached.words, unknown.front()), "",
             reached.words);
  } else if (wants_command) {
    print_error("{}", reached.command->help());
  } else {
    complain(fmt::format("{}: {}", reached.words, error.what()), "", reached.words);
  }
}

}  // namespace safesail
