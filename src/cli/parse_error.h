// What a command line that cannot be parsed gets: one error in the house form, with the command or
// option that was probably meant.
#pragma once

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace safesail {

/// Prints to stderr. Without any command where one is needed: that command's help.
void print_parse_error(const CLI::App& app, const CLI::ParseError& error);

}  // namespace safesail
