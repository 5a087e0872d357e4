// Rotary frequencies, computed in f32 as transformers computes them, scalings included.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "formats/json.h"
#include "model/spec.h"

namespace safesail {

/// theta^(-2i / rotary_dim) for the first `rotary_dim` dimensions of a head: an even number from 2
/// to `head_dim`. `where` names the file in errors.
Rope plain_rope(std::string_view where, double theta, std::int64_t rotary_dim,
                std::int64_t head_dim);
/// Divides every frequency by a positive number.
void scale_linear(Rope& rope, std::string_view where, double factor);
/// Llama 3: long wavelengths are stretched by `factor`, short ones kept, the middle blended.
void scale_llama3(Rope& rope, double factor, double low_freq_factor, double high_freq_factor,
                  double original_positions);
/// Divides frequency i by divisors[i] (the `rope_freqs` tensor of GGUF).
void scale_each(Rope& rope, std::span<const float> divisors);

/// What holds where the settings of the rotation are silent.
struct RopeDefaults {
  double theta = 10000;
  bool may_be_partial = false;  ///< whether the family knows heads of which a part turns
  double rotary_share = 1;      ///< of a head's dimensions
};

/// From `rope_scaling` (old style) or `rope_parameters` (new style), in the order of transformers.
/// Kinds default, linear, llama3; others are an error.
Rope read_rope(const JsonObject& config, std::int64_t head_dim, const RopeDefaults& defaults);
/// The same from settings in hand; nothing: the defaults.
Rope read_rope(const JsonObject& config, const std::optional<JsonObject>& settings,
               std::int64_t head_dim, const RopeDefaults& defaults);

}  // namespace safesail
