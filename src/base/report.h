// How long-running library code speaks to whoever runs it: progress, notes and warnings.
//
// Libraries take a `Reporter&` and never print. Implementations must accept calls from several
// threads.
#pragma once

#include <cstdint>
#include <string_view>

namespace safesail {

class Reporter {
 public:
  virtual ~Reporter() = default;

  /// `stage` is one word or two ("train"); `done` of `total` in `unit` ("tokens"); `detail` is a
  /// short text to stand behind the bar ("FVU .21"). total = 0 means that the end is not known.
  virtual void progress(std::string_view stage, std::uint64_t done, std::uint64_t total,
                        std::string_view unit, std::string_view detail) = 0;
  /// The next point of a curve that goes with the stage in progress ("mean FVU"). Who cannot draw
  /// lets it go.
  virtual void curve(std::string_view /*name*/, double /*value*/) {}
  virtual void note(std::string_view text) = 0;
  virtual void warn(std::string_view text) = 0;
};

/// Says nothing; for tests and for callers who do not care.
class SilentReporter final : public Reporter {
 public:
  void progress(std::string_view, std::uint64_t, std::uint64_t, std::string_view,
                std::string_view) override {}
  void note(std::string_view) override {}
  void warn(std::string_view) override {}
};

}  // namespace safesail
