// Taking an SAE's transforms into its weights, and other rewritings that change no feature value
// unless they say so. Formulas: docs/formats/sae_dialects.md.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "sae/sae.h"

namespace safesail {

/// The same function of raw activations with identity transforms, for tools that have none. Feature
/// values and thresholds stay as they are: scale goes into W_enc, 1 / output scale into W_dec, the
/// centres into the biases. `subtract_b_dec`: whether pre subtracts the new b_dec from the input.
Sae fold_transforms(const Sae& sae, bool subtract_b_dec);

/// Multiplies each feature's pre-activation and threshold by its factor (> 0) and divides its
/// decoder row by it: the function stays, values become `factor` times as large. A factor that
/// cannot be (0, not finite) is an input error.
void scale_features(Sae& sae, std::span<const float> factors, const char* where);

/// Of an SAE of n, the same SAE of x = n * weight + bias (bias may be empty): the same features
/// fire with the same values, and it reconstructs x, or what a transcoder reconstructed. An input
/// error where a weight is zero or too small to divide by.
Sae with_input_gain(const Sae& sae, std::span<const float> weight, std::span<const float> bias);

/// Norms of the decoder's rows, [n_features].
std::vector<float> decoder_norms(const Sae& sae);

/// Gated weights as a threshold rule. On entry w_enc and b_dec are set; on return
/// W_enc = exp(r_mag) W, b_enc = b_mag, threshold = b_mag - exp(r_mag) b_gate.
void set_gated(Sae& sae, std::span<const float> r_mag, std::span<const float> b_gate,
               std::span<const float> b_mag);

}  // namespace safesail
