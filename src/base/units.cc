#include "base/units.h"

#include <array>
#include <cmath>
#include <fmt/format.h>

namespace safesail {

std::string human_bytes(std::uint64_t bytes) {
  constexpr std::array units = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < units.size(); ++unit) value /= 1024;
  return fmt::format("{:.1f} {}", value, units[unit]);
}

std::string human_count(double count) {
  constexpr std::array units = {"", " k", " M", " G", " T"};
  if (std::abs(count) < 9.5) return fmt::format("{:.2g}", count);
  if (std::abs(count) < 1000) return fmt::format("{:.0f}", count);
  std::size_t unit = 0;
  for (; std::abs(count) >= 1000 && unit + 1 < units.size(); ++unit) count /= 1000;
  return fmt::format("{:.3g}{}", count, units[unit]);
}

std::string human_duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e9) return "?";
  const auto s = static_cast<std::uint64_t>(seconds);
  if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
  return fmt::format("{}:{:02}", s / 60, s % 60);
}

}  // namespace safesail
