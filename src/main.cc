#include "cli/program.h"

int main(int argc, char** argv) {
  return safesail::run_program(argc, argv);
}
