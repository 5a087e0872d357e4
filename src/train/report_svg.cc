#include "train/report_svg.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>

#include "train/report_html.h"

namespace safesail::svg {
namespace {

using html::escape;

constexpr double kLeft = 62, kRight = 16, kTop = 12, kBottom = 46;
constexpr std::size_t kColors = 8;

std::string color(std::size_t series) {
  return fmt::format("var(--c{})", series % kColors);
}

bool shows(const Axis& axis, double value) {
  return std::isfinite(value) && (!axis.log || value > 0);
}

/// From values to pixels.
class Scale {
 public:
  Scale(const Axis& axis, double low, double high, double from, double to)
      : axis_(axis), from_(from), to_(to), low_(warp(low)), high_(warp(high)) {
    if (!(high_ > low_)) {
      const double around = axis.log || low_ == 0 ? 0.5 : std::abs(low_) * 0.1;
      if (axis.log || low_ != 0) low_ -= around;
      high_ += around;
    }
    const double room = 0.06 * (high_ - low_);
    // Quantities that are never negative start at 0 rather than below it.
    low_ = !axis.log && low_ >= 0 && low_ - room < 0 ? 0 : low_ - room;
    high_ += room;
  }

  double at(double value) const {
    return from_ + (warp(value) - low_) / (high_ - low_) * (to_ - from_);
  }

  std::vector<std::pair<double, std::string>> ticks() const {
    if (!axis_.ticks.empty()) return axis_.ticks;
    std::vector<std::pair<double, std::string>> ticks;
    const auto add = [&](double value) {
      ticks.emplace_back(value, axis_.text ? axis_.text(value) : fmt::format("{:g}", value));
    };
    if (axis_.log && high_ - low_ > 0.5) {
      for (int decade = int(std::floor(low_)); decade <= int(std::ceil(high_)); ++decade)
        for (const double digit : digits(high_ - low_))
          if (const double value = digit * std::pow(10, decade);
              warp(value) >= low_ && warp(value) <= high_)
            add(value);
    } else {
      // A short piece of a logarithmic axis is nearly even.
      const double low = axis_.log ? std::pow(10, low_) : low_;
      const double high = axis_.log ? std::pow(10, high_) : high_;
      const double step = nice((high - low) / 5);
      // + 0.0: no tick is called -0.
      for (double n = std::ceil(low / step); n * step <= high; ++n) add(n * step + 0.0);
    }
    return ticks;
  }

 private:
  double warp(double value) const { return axis_.log ? std::log10(value) : value; }

  /// Leading digits of the ticks of a logarithmic axis.
  static std::vector<double> digits(double decades) {
    if (decades > 2.5) return {1};
    if (decades > 1) return {1, 2, 5};
    return {1, 1.5, 2, 3, 4, 6, 8};
  }

  /// The next of 1, 2, 5, 10... times a power of ten.
  static double nice(double step) {
    const double power = std::pow(10, std::floor(std::log10(step)));
    for (const double digit : {1.0, 2.0, 5.0})
      if (step <= digit * power) return digit * power;
    return 10 * power;
  }

  const Axis& axis_;
  double from_, to_, low_, high_;
};

/// Told apart without colour too.
std::string mark(std::size_t series, double x, double y) {
  switch (series % 4) {
    case 0:
      return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"", x, y);
    case 1:
      return fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"7.4\" height=\"7.4\"", x - 3.7,
                         y - 3.7);
    case 2:
      return fmt::format("<path d=\"M{:.1f} {:.1f}l4.8 8.4h-9.6z\"", x, y - 5.4);
    default:
      return fmt::format("<path d=\"M{:.1f} {:.1f}l5 5l-5 5l-5-5z\"", x, y - 5);
  }
}

struct Box {
  double left, top, right, bottom;
  bool meets(const Box& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

std::string line(double x1, double y1, double x2, double y2, const std::string& style) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1,
                     x2, y2, style);
}

class Drawing {
 public:
  explicit Drawing(const Plot& plot)
      : plot_(plot),
        x_(plot.x, extreme(true, false), extreme(true, true), kLeft, plot.width - kRight),
        y_(plot.y, extreme(false, false), extreme(false, true), plot.height - kBottom, kTop) {}

  std::string draw() {
    axes();
    for (std::size_t s = 0; s < plot_.series.size(); ++s) lines(s);
    for (std::size_t s = 0; s < plot_.series.size(); ++s) points(s);
    for (std::size_t s = 0; s < plot_.series.size(); ++s) labels(s);
    return fmt::format(
        "<figure><figcaption>{0}</figcaption>\n<svg viewBox=\"0 0 {1} {2}\" role=\"img\" "
        "aria-label=\"{0}\">\n{3}</svg></figure>\n",
        escape(plot_.title), plot_.width, plot_.height, text_);
  }

 private:
  bool shown(const Point& p) const { return shows(plot_.x, p.x) && shows(plot_.y, p.y); }

  /// The lowest or highest of everything that is drawn along an axis.
  double extreme(bool along_x, bool highest) const {
    const Axis& axis = along_x ? plot_.x : plot_.y;
    double found = kNone;
    for (const Series& series : plot_.series)
      for (const Point& p : series.points) {
        if (!shown(p)) continue;
        for (const double v :
             along_x ? std::array{p.x, p.x_low, p.x_high} : std::array{p.y, p.y_low, p.y_high})
          if (shows(axis, v) && !(highest ? v <= found : v >= found)) found = v;
      }
    return std::isnan(found) ? 1 : found;
  }

  void axes() {
    const double left = kLeft, right = plot_.width - kRight, top = kTop;
    const double bottom = plot_.height - kBottom;
    for (const auto& [value, label] : y_.ticks()) {
      text_ += line(left, y_.at(value), right, y_.at(value), "class=\"grid\"");
      text_ += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", left - 8,
                           y_.at(value) + 4, escape(label));
    }
    for (const auto& [value, label] : x_.ticks()) {
      text_ += line(x_.at(value), bottom, x_.at(value), bottom + 4, "class=\"axis\"");
      text_ += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                           x_.at(value), bottom + 18, escape(label));
    }
    text_ += line(left, bottom, right, bottom, "class=\"axis\"");
    text_ += fmt::format(
        "<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\" class=\"title\">{}</text>\n",
        (left + right) / 2, plot_.height - 8, escape(plot_.x.title));
    text_ += fmt::format(
        "<text transform=\"translate(13 {:.1f}) rotate(-90)\" text-anchor=\"middle\" "
        "class=\"title\">{}</text>\n",
        (top + bottom) / 2, escape(plot_.y.title));
  }

  void lines(std::size_t s) {
    std::string path;
    for (const Point& p : plot_.series[s].points)
      if (shown(p))
        path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? 'M' : 'L', x_.at(p.x), y_.at(p.y));
    // The second round of colours is dashed.
    text_ += fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\"{}/>\n",
                         path, color(s), s >= kColors ? " stroke-dasharray=\"5 3\"" : "");
  }

  void points(std::size_t s) {
    if (!plot_.series[s].markers) return;
    const std::string stroke = fmt::format("stroke=\"{}\" stroke-width=\"1.4\"", color(s));
    for (const Point& p : plot_.series[s].points) {
      if (!shown(p)) continue;
      const double x = x_.at(p.x), y = y_.at(p.y);
      if (shows(plot_.y, p.y_low) && shows(plot_.y, p.y_high))
        text_ += line(x, y_.at(p.y_low), x, y_.at(p.y_high), stroke);
      if (shows(plot_.x, p.x_low) && shows(plot_.x, p.x_high))
        text_ += line(x_.at(p.x_low), y, x_.at(p.x_high), y, stroke);
      text_ += fmt::format("{} fill=\"{}\" stroke=\"var(--back)\"><title>{}</title>{}\n",
                           mark(s, x, y), color(s), escape(p.tip), closing(s));
      taken_.push_back({x - 5, y - 5, x + 5, y + 5});
    }
  }

  static const char* closing(std::size_t s) {
    constexpr std::array kTags{"</circle>", "</rect>", "</path>", "</path>"};
    return kTags[s % 4];
  }

  /// Beside its point, wherever nothing stands yet; else nowhere (the tip still has it).
  void labels(std::size_t s) {
    for (const Point& p : plot_.series[s].points) {
      if (!shown(p) || p.label.empty()) continue;
      const double x = x_.at(p.x), y = y_.at(p.y);
      const double w = 6.6 * static_cast<double>(p.label.size()), h = 12;
      const std::array places{
          Box{x + 7, y - h - 2, x + 7 + w, y - 2}, Box{x - 7 - w, y + 4, x - 7, y + 4 + h},
          Box{x + 7, y + 3, x + 7 + w, y + 3 + h}, Box{x - 7 - w, y - h - 2, x - 7, y - 2},
          Box{x + 8, y - h / 2, x + 8 + w, y + h / 2}};
      for (const Box& box : places) {
        const bool is_inside = box.left > kLeft && box.right < plot_.width - 2 && box.top > 0 &&
                               box.bottom < plot_.height - kBottom;
        if (!is_inside || std::ranges::any_of(taken_, [&](const Box& b) { return b.meets(box); }))
          continue;
        taken_.push_back(box);
        text_ += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" style=\"fill:{}\">{}</text>\n",
                             box.left, box.bottom - 2, color(s), escape(p.label));
        break;
      }
    }
  }

  const Plot& plot_;
  Scale x_, y_;
  std::string text_;
  std::vector<Box> taken_;
};

}  // namespace

std::string draw(const Plot& plot) {
  return Drawing(plot).draw();
}

std::string legend(const std::vector<Series>& series) {
  std::string text = "<ul class=\"legend\">";
  for (std::size_t s = 0; s < series.size(); ++s) {
    text += fmt::format(
        "<li><svg viewBox=\"0 0 22 12\"><path d=\"M0 6H22\" stroke=\"{0}\" "
        "stroke-width=\"1.6\"{1}/>",
        color(s), s >= kColors ? " stroke-dasharray=\"5 3\"" : "");
    if (series[s].markers) text += mark(s, 11, 6) + fmt::format(" fill=\"{}\"/>", color(s));
    text += fmt::format("</svg>{}</li>", escape(series[s].name));
  }
  return text + "</ul>\n";
}

std::string draw(const Histogram& histogram) {
  constexpr double kWidth = 300, kHeight = 132, kFloor = 104, kRoof = 10, kStart = 58, kEnd = 290;
  std::int64_t most = std::max<std::int64_t>(1, histogram.apart);
  for (const std::int64_t n : histogram.bins) most = std::max(most, n);
  std::string text;
  const auto bar = [&](double x, double width, std::int64_t n, const std::string& fill,
                       const std::string& tip) {
    const double height = (kFloor - kRoof) * static_cast<double>(n) / static_cast<double>(most);
    text += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\">"
        "<title>{}</title></rect>\n",
        x, kFloor - height, width, height, fill, escape(tip));
  };
  bar(9, 18, histogram.apart, "var(--c7)", fmt::format("{} features never fired", histogram.apart));
  const double width = (kEnd - kStart) / static_cast<double>(histogram.bins.size());
  const double span = histogram.highest - histogram.lowest;
  for (std::size_t b = 0; b < histogram.bins.size(); ++b) {
    const double share = static_cast<double>(b) / static_cast<double>(histogram.bins.size());
    bar(kStart + width * static_cast<double>(b), width - 1, histogram.bins[b],
        color(histogram.color),
        fmt::format("{} features fire on 10^{:.2f} of the tokens or a little more",
                    histogram.bins[b], histogram.lowest + span * share));
  }
  text += line(2, kFloor, 34, kFloor, "class=\"axis\"") +
          line(kStart, kFloor, kEnd, kFloor, "class=\"axis\"");
  text += fmt::format("<text x=\"2\" y=\"{}\">never</text>\n", kFloor + 16);
  for (double power = std::ceil(histogram.lowest); power <= histogram.highest; power += 2)
    text += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                        kStart + (kEnd - kStart) * (power - histogram.lowest) / span, kFloor + 16,
                        power == 0 ? std::string("1") : fmt::format("1e{}", power));
  text += fmt::format("<text x=\"{}\" y=\"{}\">tallest {}</text>\n", kStart, kRoof + 4, most);
  return fmt::format(
      "<figure><figcaption>{0}</figcaption>\n<svg viewBox=\"0 0 {1} {2}\" role=\"img\" "
      "aria-label=\"{0}\">\n{3}</svg></figure>\n",
      escape(histogram.title), kWidth, kHeight, text);
}

}  // namespace safesail::svg
