#include "model/families/rope.h"

#include <cmath>
#include <fmt/format.h>
#include <numbers>

#include "base/error.h"

namespace safesail {

Rope plain_rope(double theta, std::int64_t rotary_dim) {
  Rope rope;
  for (std::int64_t i = 0; i + 1 < rotary_dim; i += 2)
    rope.inv_freq.push_back(1.0f /
                            std::pow(static_cast<float>(theta),
                                     static_cast<float>(i) / static_cast<float>(rotary_dim)));
  return rope;
}

void scale_linear(Rope& rope, double factor) {
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

Rope read_rope(const JsonObject& config, std::int64_t head_dim, double default_theta,
               double default_rotary_share, std::string_view layer_type) {
  std::optional<JsonObject> settings = config.find_object("rope_parameters");
  if (!settings) settings = config.find_object("rope_scaling");
  if (settings && settings->contains(layer_type)) settings = settings->find_object(layer_type);

  const double theta = settings && settings->contains("rope_theta")
                           ? settings->get<double>("rope_theta")
                           : config.get_or<double>("rope_theta", default_theta);
  double share = config.get_or<double>("partial_rotary_factor", default_rotary_share);
  if (settings) share = settings->get_or<double>("partial_rotary_factor", share);
  if (!(theta > 0) || !(share > 0 && share <= 1))
    bad_input(
        config.where(),
        fmt::format("expected a positive rope_theta and a rotary share in (0, 1], got {} and {}",
                    theta, share),
        "use the config.json that came with the weights");
  Rope rope = plain_rope(theta, static_cast<std::int64_t>(static_cast<double>(head_dim) * share));
  if (!settings) return rope;

  const std::string kind =
      settings->get_or<std::string>("rope_type", settings->get_or<std::string>("type", "default"));
  if (kind == "default") return rope;
  if (kind != "linear" && kind != "llama3")
    bad_input(settings->where(),
              fmt::format("expected rope_type default, linear or llama3, got \"{}\"", kind),
              "this scaling of positions is not known; use a model with a known one");
  const double factor = settings->get<double>("factor");
  if (!(factor > 0))
    bad_input(settings->where(), fmt::format("expected a positive factor, got {}", factor),
              "use the config.json that came with the weights");
  if (kind == "linear") {
    scale_linear(rope, factor);
    return rope;
  }
  const double low = settings->get<double>("low_freq_factor");
  const double high = settings->get<double>("high_freq_factor");
  const double original = settings->get_or<double>(
      "original_max_position_embeddings",
      config.get_or<double>("original_max_position_embeddings",
                            config.get_or<double>("max_position_embeddings", 8192)));
  if (!(low > 0 && high > low && original > 0))
    bad_input(
        settings->where(),
        fmt::format("expected 0 < low_freq_factor < high_freq_factor, got {} and {}", low, high),
        "use the config.json that came with the weights");
  scale_llama3(rope, factor, low, high, original);
  return rope;
}

}  // namespace safesail
