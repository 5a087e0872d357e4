#include "model/families/rope.h"

#include <cmath>
#include <fmt/format.h>
#include <numbers>

#include "base/error.h"

namespace safesail {
namespace {

/// The dimensions of a head that turn, cut to a whole number as transformers does.
std::int64_t rotary_dim(const JsonObject& settings, std::int64_t head_dim, double share) {
  if (!(share > 0 && share <= 1))
    bad_input(settings.where(),
              fmt::format("expected a share of rotary dimensions in (0, 1], got {}", share),
              "use the config.json that came with the weights");
  return static_cast<std::int64_t>(static_cast<double>(head_dim) * share);
}

}  // namespace

Rope plain_rope(std::string_view where, double theta, std::int64_t rotary_dim,
                std::int64_t head_dim) {
  if (!(theta > 0) || !std::isfinite(theta))
    bad_input(where, fmt::format("expected a positive base of the rotation, got {}", theta),
              "check rope_theta (rope.freq_base)");
  if (rotary_dim < 2 || rotary_dim > head_dim || rotary_dim % 2 != 0)
    bad_input(where,
              fmt::format("expected an even number of rotary dimensions from 2 to {}, got {}",
                          head_dim, rotary_dim),
              "check rope.dimension_count (partial_rotary_factor, rotary_pct in config.json)");
  Rope rope;
  for (std::int64_t i = 0; i < rotary_dim; i += 2)
    rope.inv_freq.push_back(1.0f /
                            std::pow(static_cast<float>(theta),
                                     static_cast<float>(i) / static_cast<float>(rotary_dim)));
  return rope;
}

void scale_linear(Rope& rope, std::string_view where, double factor) {
  if (!(factor > 0) || !std::isfinite(factor))
    bad_input(where, fmt::format("expected a positive factor of the rotation, got {}", factor),
              "use the configuration that came with the weights");
  for (float& frequency : rope.inv_freq) frequency /= static_cast<float>(factor);
}

void scale_llama3(Rope& rope, double factor, double low_freq_factor, double high_freq_factor,
                  double original_positions) {
  const double low_wavelength = original_positions / low_freq_factor;
  const double high_wavelength = original_positions / high_freq_factor;
  for (float& frequency : rope.inv_freq) {
    const double wavelength = 2 * std::numbers::pi / frequency;
    if (wavelength < high_wavelength) continue;
    if (wavelength > low_wavelength) {
      frequency /= static_cast<float>(factor);
    } else {
      const double smooth = (original_positions / wavelength - low_freq_factor) /
                            (high_freq_factor - low_freq_factor);
      frequency = static_cast<float>((1 - smooth) * frequency / factor + smooth * frequency);
    }
  }
}

void scale_each(Rope& rope, std::span<const float> divisors) {
  SAFESAIL_CHECK(divisors.size() == rope.inv_freq.size());
  for (std::size_t i = 0; i < divisors.size(); ++i) rope.inv_freq[i] /= divisors[i];
}

Rope read_rope(const JsonObject& config, std::int64_t head_dim, const RopeDefaults& defaults) {
  std::optional<JsonObject> settings = config.find_object("rope_scaling");
  if (!settings || settings->json().empty()) settings = config.find_object("rope_parameters");
  return read_rope(config, settings, head_dim, defaults);
}

Rope read_rope(const JsonObject& config, const std::optional<JsonObject>& settings,
               std::int64_t head_dim, const RopeDefaults& defaults) {
  if (!settings)
    return plain_rope(config.where(), defaults.theta,
                      rotary_dim(config, head_dim, defaults.rotary_share), head_dim);
  const double share = settings->get_or<double>("partial_rotary_factor", defaults.rotary_share);
  if (!defaults.may_be_partial && share != 1)
    bad_input(settings->where(), fmt::format("expected no partial_rotary_factor, got {}", share),
              "this family turns whole heads; use the config.json that came with the weights");
  Rope rope = plain_rope(settings->where(), settings->get_or<double>("rope_theta", defaults.theta),
                         rotary_dim(*settings, head_dim, share), head_dim);
  const std::string kind =
      settings->get_or<std::string>("rope_type", settings->get_or<std::string>("type", "default"));
  if (kind == "default") return rope;
  if (kind == "linear") {
    scale_linear(rope, settings->where(), settings->get<double>("factor"));
    return rope;
  }
  if (kind != "llama3")
    bad_input(settings->where(),
              fmt::format("expected rope_type default, linear or llama3, got {}", printable(kind)),
              "this scaling of positions is not known; use a model with a known one");
  const double factor = settings->get<double>("factor");
  const double low = settings->get<double>("low_freq_factor");
  const double high = settings->get<double>("high_freq_factor");
  const double original = config.get_or<double>(
      "original_max_position_embeddings",
      settings->get_or<double>("original_max_position_embeddings",
                               config.get_or<double>("max_position_embeddings", 0)));
  if (!(factor > 0 && low > 0 && high > low && original > 0) || !std::isfinite(factor + high))
    bad_input(settings->where(),
              fmt::format("expected factor > 0, 0 < low_freq_factor < high_freq_factor and "
                          "original_max_position_embeddings > 0, got {}, {}, {} and {}",
                          factor, low, high, original),
              "use the config.json that came with the weights");
  scale_llama3(rope, factor, low, high, original);
  return rope;
}

}  // namespace safesail
