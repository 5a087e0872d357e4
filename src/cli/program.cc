#include "cli/program.h"

namespace safesail {

int run_program(int, char**) {
  return 0;
}

}  // namespace safesail
