// From the tensors of a model's files to the weights that a pass reads. Two steps: a plan of all
// tensors, their names, shapes and types checked, then the filling.
#pragma once

#include <ATen/core/Tensor.h>

#include "base/report.h"
#include "model/families/plan.h"
#include "model/weight_source.h"
#include "model/weights.h"

namespace safesail {

/// Reads every weight that `plan` names, converted to `dtype` (norms stay f32), rows in parallel,
/// and puts it on `device`. Checks all names, shapes and types, then the memory, before the first
/// byte is read. A tensor that the plan has no use for is an input error: the model means another
/// computation than ours.
Weights load_weights(const ModelPlan& plan, const WeightSource& source, at::ScalarType dtype,
                     at::Device device, Reporter& reporter);

}  // namespace safesail
