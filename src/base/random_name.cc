#include "base/random_name.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fmt/format.h>
#include <sys/random.h>

#include "base/error.h"

namespace safesail {

std::string random_name() {
  std::uint64_t bits = 0;
  // So few bytes come whole, once the machine has any randomness at all.
  if (::getrandom(&bits, sizeof bits, 0) != sizeof bits)
    failed("getrandom", std::string("the system gives no random bytes: ") + std::strerror(errno),
           "allow the call, where a sandbox forbids it");
  return fmt::format("{:016x}", bits);
}

}  // namespace safesail
