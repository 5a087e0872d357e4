// Sizes in whole steps: tiles, pages, groups of threads.
#pragma once

namespace safesail {

/// The smallest multiple of `step` that is not below `n`; n >= 0, step > 0.
template <class Integer>
constexpr Integer round_up(Integer n, Integer step) {
  return (n + step - 1) / step * step;
}

}  // namespace safesail
