// The program. Its OpenMP threads wait a moment for one another, then sleep.
//
// libgomp's threads spin for some 6 ms at the end of every loop before they sleep. On a machine
// that others use, the thread that is waited for may not even run, for the one that waits has its
// core: beside a dozen compilers a model took five to nine times as long to speak with two threads
// as with one. A thousand turns, some 20 microseconds, bridge what lies between two loops of a
// pass; then the core is free for the other thread.
//
// libgomp reads its settings when it is loaded, so the program starts itself once more with the
// setting, before its libraries initialise (25 ms). Who sets GOMP_SPINCOUNT or OMP_WAIT_POLICY is
// left in peace. One thread, no errors: where it cannot start itself, it goes on as it is.
#include <array>
#include <string_view>
#include <unistd.h>

#include "cli/program.h"

namespace {

constexpr const char* kSetting = "GOMP_SPINCOUNT=1000";
constexpr std::size_t kMostVariables = 4096;

void wait_shortly(int /*argc*/, char** argv, char** environment) {
  // On the stack: nothing has been initialised yet.
  std::array<char*, kMostVariables + 2> extended;
  std::size_t n = 0;
  for (; environment[n] != nullptr; ++n) {
    const std::string_view variable(environment[n]);
    if (n == kMostVariables || variable.starts_with("GOMP_SPINCOUNT=") ||
        variable.starts_with("OMP_WAIT_POLICY="))
      return;
    extended[n] = environment[n];
  }
  extended[n] = const_cast<char*>(kSetting);
  extended[n + 1] = nullptr;
  ::execve("/proc/self/exe", argv, extended.data());
}

__attribute__((section(".preinit_array"),
               used)) void (*const before_libraries)(int, char**, char**) = wait_shortly;

}  // namespace

int main(int argc, char** argv) {
  return safesail::run_program(argc, argv);
}
