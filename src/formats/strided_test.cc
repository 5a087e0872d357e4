#include "formats/strided.h"

#include <cstring>
#include <gtest/gtest.h>
#include <limits>
#include <vector>

namespace safesail {
namespace {

// A dimension of size 1 is never stepped over, so that its stride may be anything: the sanitizer
// would find an overflow.
TEST(Strided, StrideOfADimensionOfSizeOneIsNotUsed) {
  const std::vector<float> storage{0, 1, 2, 3};
  const StridedTensor tensor{.dtype = DType::f32,
                             .shape = {2, 1, 2},
                             .strides = {1, std::numeric_limits<std::int64_t>::max(), 2},
                             .offset = 0,
                             .storage = std::as_bytes(std::span(storage))};
  TensorCopies copies;
  const TensorView view = contiguous(tensor, copies, 1000, "test");
  std::vector<float> values(4);
  ASSERT_EQ(view.bytes.size(), 16u);
  std::memcpy(values.data(), view.bytes.data(), 16);
  EXPECT_EQ(values, (std::vector<float>{0, 2, 1, 3}));
}

}  // namespace
}  // namespace safesail
