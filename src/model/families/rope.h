// Rotary frequencies, computed in f32 as transformers computes them, scalings included.
#pragma once

#include <cstdint>
#include <span>

#include "formats/json.h"
#include "model/spec.h"

namespace safesail {

/// theta^(-2i / rotary_dim)
Rope plain_rope(double theta, std::int64_t rotary_dim);
/// Divides every frequency.
void scale_linear(Rope& rope, double factor);
/// Llama 3: long wavelengths are stretched by `factor`, short ones kept, the middle blended.
void scale_llama3(Rope& rope, double factor, double low_freq_factor, double high_freq_factor,
                  double original_positions);
/// Divides frequency i by divisors[i] (the `rope_freqs` tensor of GGUF).
void scale_each(Rope& rope, std::span<const float> divisors);

/// From `rope_parameters` (new style; `layer_type` picks the entry where they are nested by it), or
/// `rope_scaling` and `rope_theta` (old style). Kinds default, linear, llama3; others are an error.
Rope read_rope(const JsonObject& config, std::int64_t head_dim, double default_theta,
               double default_rotary_share = 1, std::string_view layer_type = "full_attention");

}  // namespace safesail
