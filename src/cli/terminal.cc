#include "cli/terminal.h"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <unistd.h>

#include "base/units.h"

namespace safesail {
namespace {

constexpr int kBarWidth = 24;

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

bool is_number(std::string_view text) {
  return !text.empty() && (std::isdigit(static_cast<unsigned char>(text.front())) != 0 ||
                           ((text.front() == '-' || text.front() == '+') && text.size() > 1));
}

}  // namespace

TerminalReporter::TerminalReporter(bool quiet)
    : quiet_(quiet), is_terminal_(::isatty(STDERR_FILENO) != 0) {}

TerminalReporter::~TerminalReporter() {
  if (line_open_) std::fputc('\n', stderr);
}

void TerminalReporter::erase_line() {
  if (line_open_) std::fputs("\r\033[K", stderr);
  line_open_ = false;
}

void TerminalReporter::progress(std::string_view stage, std::uint64_t done, std::uint64_t total,
                                std::string_view unit, std::string_view detail) {
  if (quiet_) return;
  const std::scoped_lock lock(mutex_);
  const Clock::time_point now = Clock::now();
  if (stage != stage_) {
    if (line_open_) std::fputc('\n', stderr);
    line_open_ = false;
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
  if (!detail.empty()) line += fmt::format("  {}", detail);

  erase_line();
  std::fputs(line.c_str(), stderr);
  if (is_terminal_ && !finished)
    line_open_ = true;
  else
    std::fputc('\n', stderr);
  if (finished) stage_.clear();
  std::fflush(stderr);
}

void TerminalReporter::note(std::string_view text) {
  if (quiet_) return;
  const std::scoped_lock lock(mutex_);
  erase_line();
  fmt::print(stderr, "{}\n", text);
}

void TerminalReporter::warn(std::string_view text) {
  const std::scoped_lock lock(mutex_);
  erase_line();
  fmt::print(stderr, "warning: {}\n", text);
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
