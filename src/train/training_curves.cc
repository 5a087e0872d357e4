#include "train/training_curves.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "formats/line_reader.h"

namespace safesail {
namespace {

using nlohmann::json;

constexpr std::size_t kMostLineBytes = std::size_t{1} << 20;
constexpr std::size_t kMostPoints = 300;
/// More SAEs than any grid has: beyond, the file is not a run's.
constexpr std::size_t kMostCurves = 4096;

double number(const json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_number() ? found->get<double>()
                                                   : std::numeric_limits<double>::quiet_NaN();
}

std::int64_t integer(const json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

std::string text(const json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_string() ? found->get<std::string>() : std::string();
}

SaeIdentity identity(const json& line) {
  SaeIdentity id{.site = text(line, "site"),
                 .output_site = text(line, "output_site"),
                 .architecture = text(line, "architecture"),
                 .k = integer(line, "k"),
                 .n_features = integer(line, "n_features"),
                 .seed = static_cast<std::uint64_t>(integer(line, "seed")),
                 .path = {}};
  if (id.output_site.empty()) id.output_site = id.site;
  return id;
}

void thin(std::vector<TrainingPoint>& points) {
  const std::size_t stride = (points.size() + kMostPoints - 1) / kMostPoints;
  if (stride < 2) return;
  std::vector<TrainingPoint> kept;
  for (std::size_t i = 0; i + 1 < points.size(); i += stride) kept.push_back(points[i]);
  kept.push_back(points.back());
  points = std::move(kept);
}

}  // namespace

std::vector<TrainingCurve> read_training_curves(const fs::path& metrics) {
  std::vector<TrainingCurve> curves;
  if (!fs::exists(metrics)) return curves;
  LineReader lines(ByteStream(metrics), kMostLineBytes);
  while (const auto line = lines.next()) {
    const json record = json::parse(*line, nullptr, false);
    if (!record.is_object() || !record.contains("tokens") || text(record, "site").empty()) continue;
    const SaeIdentity id = identity(record);
    auto curve = std::ranges::find_if(
        curves, [&](const TrainingCurve& c) { return alike(c.id, id) && c.id.seed == id.seed; });
    if (curve == curves.end()) {
      if (curves.size() == kMostCurves) continue;
      curve = curves.insert(curves.end(), {id, {}});
    }
    curve->points.push_back({.tokens = number(record, "tokens"),
                             .loss = number(record, "loss"),
                             .fvu = number(record, "fvu"),
                             .l0 = number(record, "l0"),
                             .n_dead = number(record, "n_dead")});
  }
  for (TrainingCurve& curve : curves) thin(curve.points);
  return curves;
}

}  // namespace safesail
