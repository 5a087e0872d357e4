// Small dense loops over one row, vectorised; the order of summation is fixed for a given CPU.
#pragma once

#include <cstdint>

namespace safesail {

float dot(const float* a, const float* b, std::int64_t n);

/// y += a * x
void add_scaled(float a, const float* x, std::int64_t n, float* y);

/// In f64.
double sum_of_squares(const float* values, std::int64_t n);

/// Removes from g its part along w: g -= (g . w) w, for w of unit norm.
void remove_parallel(const float* w, std::int64_t n, float* g);

/// Scales w to unit norm; a row of zeros stays.
void normalise_row(std::int64_t n, float* w);

/// Round to nearest even; finite input only.
void round_to_bf16(const float* in, std::int64_t n, std::uint16_t* out);

}  // namespace safesail
