#include "cli/terminal.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/units.h"
#include "cli/print.h"

namespace safesail {
namespace {

constexpr int kBarWidth = 24;
constexpr std::size_t kCurveWidth = 48;

std::string bar(double share) {
  const int full = static_cast<int>(share * kBarWidth);
  std::string text;
  for (int i = 0; i < kBarWidth; ++i) text += i < full ? "━" : "┄";
  return text;
}

/// Characters as a terminal counts them: UTF-8 continuation bytes do not count.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/// The first `columns` characters: a line that wraps could not be written over.
std::string cut(const std::string& text, std::size_t columns) {
  std::size_t seen = 0, end = 0;
  for (; end < text.size(); ++end)
    if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80 && ++seen > columns) break;
  return text.substr(0, end);
}

bool is_number(std::string_view text) {
  return !text.empty() && (std::isdigit(static_cast<unsigned char>(text.front())) != 0 ||
                           ((text.front() == '-' || text.front() == '+') && text.size() > 1));
}

}  // namespace

TerminalReporter::TerminalReporter(bool quiet)
    : quiet_(quiet), is_terminal_(::isatty(STDERR_FILENO) != 0) {}

TerminalReporter::~TerminalReporter() {
  if (lines_open_ > 0) std::fputc('\n', stderr);
}

void TerminalReporter::erase() {
  for (; lines_open_ > 1; --lines_open_) std::fputs("\r\033[K\033[A", stderr);
  if (lines_open_ > 0) std::fputs("\r\033[K", stderr);
  lines_open_ = 0;
}

void TerminalReporter::show_live(const std::string& line) {
  const std::size_t columns = terminal_columns();
  std::fputs(cut(line, columns).c_str(), stderr);
  lines_open_ = 1;
  if (curve_.size() < 2) return;
  const std::string row =
      fmt::format("{:<10} {} {:.3f} {:.3f}", curve_name_, sparkline(curve_, kCurveWidth),
                  curve_.front(), curve_.back());
  fmt::print(stderr, "\n{}", cut(row, columns));
  lines_open_ = 2;
}

void TerminalReporter::curve(std::string_view name, double value) {
  if (quiet_ || !is_terminal_) return;
  const std::scoped_lock lock(mutex_);
  if (name != curve_name_) curve_.clear();
  curve_name_ = name;
  curve_.push_back(value);
}

void TerminalReporter::progress(std::string_view stage, std::uint64_t done, std::uint64_t total,
                                std::string_view unit, std::string_view detail) {
  if (quiet_) return;
  const std::scoped_lock lock(mutex_);
  const Clock::time_point now = Clock::now();
  if (stage != stage_) {
    if (lines_open_ > 0) std::fputc('\n', stderr);
    lines_open_ = 0;
    stage_ = stage;
    stage_start_ = now;
    stage_first_ = done;
    last_shown_ = {};
  }
  const bool finished = total > 0 && done >= total;
  const auto pause = is_terminal_ ? std::chrono::milliseconds(200) : std::chrono::seconds(10);
  if (!finished && now - last_shown_ < pause) return;
  last_shown_ = now;

  const double seconds = std::chrono::duration<double>(now - stage_start_).count();
  // Work that was done before this process began (a resumed run) says nothing about its speed.
  const double rate = seconds > 0 ? static_cast<double>(done - stage_first_) / seconds : 0;
  std::string line = fmt::format("{:<10} ", stage);
  if (total > 0) {
    const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
    line += fmt::format("{} {:3.0f} %  {}/{} {}", bar(share), share * 100,
                        human_count(static_cast<double>(done)),
                        human_count(static_cast<double>(total)), unit);
  } else {
    line += fmt::format("{} {}", human_count(static_cast<double>(done)), unit);
  }
  if (rate > 0) line += fmt::format("  {}/s", human_count(rate));
  if (finished)
    line += fmt::format("  in {}", human_duration(seconds));
  else if (rate > 0 && total > 0)
    line += fmt::format("  {} left", human_duration(static_cast<double>(total - done) / rate));
  if (!detail.empty()) line += fmt::format("  {}", terminal_line(detail));

  erase();
  if (is_terminal_ && !finished)
    show_live(line);
  else
    fmt::print(stderr, "{}\n", line);
  if (finished) {
    stage_.clear();
    curve_.clear();
  }
  std::fflush(stderr);
}

void TerminalReporter::note(std::string_view text) {
  if (quiet_) return;
  const std::scoped_lock lock(mutex_);
  erase();
  print_error("{}\n", text);
}

void TerminalReporter::warn(std::string_view text) {
  const std::scoped_lock lock(mutex_);
  erase();
  print_error("warning: {}\n", text);
}

std::string sparkline(const std::vector<double>& values, std::size_t width) {
  constexpr const char* kBlocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const std::size_t n = std::min(width, values.size());
  std::vector<double> means;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t begin = values.size() * i / n, end = values.size() * (i + 1) / n;
    double sum = 0;
    for (std::size_t v = begin; v < end; ++v) sum += values[v];
    means.push_back(sum / static_cast<double>(end - begin));
    if (!std::isfinite(means.back())) continue;
    low = std::min(low, means.back());
    high = std::max(high, means.back());
  }
  std::string row;
  for (const double mean : means) {
    const double share = high > low ? (mean - low) / (high - low) : 0;
    row += std::isfinite(mean) ? kBlocks[std::lround(7 * share)] : " ";
  }
  return row;
}

std::string format_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows)
    for (std::size_t c = 0; c < row.size(); ++c) {
      if (widths.size() <= c) widths.push_back(0);
      widths[c] = std::max(widths[c], width(row[c]));
    }
  std::string text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (std::size_t c = 0; c < rows[r].size(); ++c) {
      const std::string& cell = rows[r][c];
      // A head stands where its column's numbers stand.
      const std::string& sample = rows.size() > 1 && c < rows[1].size() ? rows[1][c] : cell;
      const std::string padding(widths[c] - width(cell), ' ');
      if (c > 0) text += "  ";
      text += is_number(sample) ? padding + cell : cell + padding;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
    if (r == 0) {
      std::size_t total = 0;
      for (std::size_t c = 0; c < widths.size(); ++c) total += widths[c] + (c > 0 ? 2 : 0);
      for (std::size_t i = 0; i < total; ++i) text += "─";
      text += '\n';
    }
  }
  return text;
}

}  // namespace safesail
