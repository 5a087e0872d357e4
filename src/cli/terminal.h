// What the program shows on a terminal: a progress line with rate and time left, notes, tables.
//
// Progress and notes go to stderr, results to stdout, so that output can be piped. Off a terminal
// the progress line becomes a line of its own every few seconds, and curves are not drawn.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/report.h"

namespace safesail {

/// Any thread may report.
class TerminalReporter final : public Reporter {
 public:
  explicit TerminalReporter(bool quiet);
  ~TerminalReporter() override;

  void progress(std::string_view stage, std::uint64_t done, std::uint64_t total,
                std::string_view unit, std::string_view detail) override;
  void curve(std::string_view name, double value) override;
  void note(std::string_view text) override;
  void warn(std::string_view text) override;

 private:
  using Clock = std::chrono::steady_clock;
  void erase();
  void show_live(const std::string& line);

  const bool quiet_, is_terminal_;
  std::mutex mutex_;
  // Protected by mutex_:
  std::string stage_;
  Clock::time_point stage_start_, last_shown_;
  std::uint64_t stage_first_ = 0;
  int lines_open_ = 0;  ///< of the progress, to be written over
  std::string curve_name_;
  std::vector<double> curve_;
};

/// Values as one row of `width` blocks between their extremes, each the mean of its share of the
/// values; fewer values give a shorter row. Values that are not finite are blank.
std::string sparkline(const std::vector<double>& values, std::size_t width);

/// Columns aligned, numbers to the right; the first row is the head.
std::string format_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace safesail
