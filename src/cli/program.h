// The command line: parses, calls the rooms, prints. The only place that prints and picks exit
// codes: 0 done, 1 failed, 2 bad input.
#pragma once

namespace safesail {

int run_program(int argc, char** argv);

}  // namespace safesail
