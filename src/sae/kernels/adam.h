// Adam on one row of weights at a time, with what follows from it done while the row is in cache.
#pragma once

#include <cstdint>

namespace safesail {

/// One step's constants. PyTorch's Adam without weight decay:
///   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
///   w -= step_size * m / (sqrt(v) * inverse_root + epsilon)
struct AdamStep {
  float beta1, beta2, epsilon;
  float step_size;           ///< lr / (1 - beta1^t)
  float inverse_root;        ///< 1 / sqrt(1 - beta2^t)
  float gradient_scale = 1;  ///< gradients are multiplied by this first (clipping)

  static AdamStep at(double beta1, double beta2, double epsilon, double lr, std::int64_t t);
};

/// w, m, v [n] in place; g [n] is read.
void adam_row(const AdamStep& step, const float* g, std::int64_t n, float* w, float* m, float* v);

}  // namespace safesail
