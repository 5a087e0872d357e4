#include "sae/kernels/adam.h"

#include <cmath>
#include <gtest/gtest.h>
#include <vector>

namespace safesail {
namespace {

struct Reference {
  double w = 0, m = 0, v = 0;

  // PyTorch's documentation of torch.optim.Adam, line by line.
  void step(double g, double lr, double beta1, double beta2, double epsilon, int t) {
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g * g;
    const double m_hat = m / (1 - std::pow(beta1, t)), v_hat = v / (1 - std::pow(beta2, t));
    w -= lr * m_hat / (std::sqrt(v_hat) + epsilon);
  }
};

// Gradients of every size beside epsilon. In f32, 1 - 0.999 is 1.3e-5 of itself too small, its root
// half as much; a step's other roundings are of 6e-8.
TEST(Adam, StepsAsInF64ForGradientsOfEverySize) {
  constexpr double kLr = 3e-3, kBeta1 = 0.9, kBeta2 = 0.999;
  std::vector<double> sizes = {0};
  for (double size = 1e-14; size < 100; size *= 3) sizes.push_back(size);
  const auto n = std::int64_t(sizes.size());
  for (const double epsilon : {1e-8, 6.25e-10, 1e-12}) {
    std::vector<float> w(sizes.size()), m(sizes.size()), v(sizes.size()), g(sizes.size());
    std::vector<Reference> reference(sizes.size());
    for (int t = 1; t <= 20; ++t) {
      for (std::size_t i = 0; i < sizes.size(); ++i)
        g[i] = float(sizes[i] * (1 + 0.5 * std::sin(double(i) + t)) * (t % 5 == 0 ? -0.3 : 1));
      adam_row(AdamStep::at(kBeta1, kBeta2, epsilon, kLr, t), g.data(), n, w.data(), m.data(),
               v.data());
      for (std::size_t i = 0; i < sizes.size(); ++i) {
        reference[i].step(g[i], kLr, kBeta1, kBeta2, epsilon, t);
        EXPECT_NEAR(w[i], reference[i].w, 2e-5 * std::abs(reference[i].w))
            << "gradients of about " << sizes[i] << ", epsilon " << epsilon << ", step " << t;
      }
    }
  }
}

}  // namespace
}  // namespace safesail
