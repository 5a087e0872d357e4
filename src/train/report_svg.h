// Plots as inline SVG, in the colours of the page that they stand in (report_html.h): points joined
// by lines, with whiskers and labels, on linear or logarithmic axes; and the histogram of a feature
// density. Points that an axis cannot show (not finite, or <= 0 on a logarithmic one) are left out.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace safesail::svg {

inline constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

struct Point {
  double x = 0, y = 0;
  double x_low = kNone, x_high = kNone, y_low = kNone, y_high = kNone;  ///< whiskers
  std::string label;  ///< stands beside the point where there is room
  std::string tip;    ///< shown when the pointer rests on it
};

struct Series {
  std::string name;
  std::vector<Point> points;
  bool markers = true;
};

struct Axis {
  std::string title;
  bool log = false;
  std::vector<std::pair<double, std::string>> ticks;  ///< empty: chosen
  std::function<std::string(double)> text;            ///< of chosen ticks; empty: as they are
};

/// A series' place in the list decides its colour and its mark.
struct Plot {
  std::string title;
  Axis x, y;
  std::vector<Series> series;
  int width = 520, height = 340;
};

std::string draw(const Plot& plot);
/// Which mark and colour belongs to which series.
std::string legend(const std::vector<Series>& series);

struct Histogram {
  std::string title;
  std::vector<std::int64_t> bins;  ///< equal ones from lowest to highest
  double lowest = 0, highest = 1;  ///< log10
  std::int64_t apart = 0;          ///< what has no logarithm: a bar of its own, to the left
  std::size_t color = 0;
};

std::string draw(const Histogram& histogram);

}  // namespace safesail::svg
