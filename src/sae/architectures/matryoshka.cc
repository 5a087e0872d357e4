// Matryoshka BatchTopK (Bussmann et al. 2025): codes as BatchTopK's, but nested prefixes of the
// features must reconstruct on their own. The loss is the mean of the prefixes' losses, so that
// general features gather at the front and are not split into special ones.
#include <ATen/ATen.h>

#include "sae/architectures/architectures.h"
#include "sae/architectures/batchtopk.h"

namespace safesail {
namespace {

class Matryoshka final : public BatchTopK {
 public:
  std::string_view name() const override { return "matryoshka"; }
  std::string_view summary() const override {
    return "BatchTopK whose nested prefixes reconstruct on their own";
  }

  // The published default: each prefix about twice the one before, 1/16 first.
  std::vector<std::int64_t> groups(const SaeSpec& spec) const override {
    if (!spec.groups.empty()) return spec.groups;
    std::vector<std::int64_t> ends;
    for (const std::int64_t divisor : {16, 8, 4, 2, 1}) {
      const std::int64_t end = spec.n_features / divisor;
      if (end > (ends.empty() ? 0 : ends.back())) ends.push_back(end);
    }
    return ends;
  }
};

}  // namespace

const Architecture& matryoshka_architecture() {
  static const Matryoshka architecture;
  return architecture;
}

}  // namespace safesail
