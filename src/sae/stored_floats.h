// Floats in files as LibTorch sees them.
#pragma once

#include "formats/tensor.h"

namespace at {
class Tensor;
}

namespace safesail {

/// Whether the numbers are F64, F32, F16 or BF16.
bool are_floats(DType dtype);

/// Over the same bytes, which must outlive it; a copy where the file does not align them. Undefined
/// unless are_floats().
at::Tensor stored_floats(const TensorView& tensor);

}  // namespace safesail
