// Products of bf16 on AMX, the matrix unit of Intel's servers: sixteen times the dot product's
// rate. Sums are f32. The tiles are the calling thread's own and are given back before returning.
#pragma once

#include "model/dot_bf16.h"

namespace safesail::cpu {

/// Whether the CPU has AMX and the system lets this process use it; the function below may be
/// called only then.
bool has_amx_bf16();

/// As multiply_pairs; rows, columns and inner are multiples of 16.
void multiply_tiles(const PairProduct& product);

}  // namespace safesail::cpu
