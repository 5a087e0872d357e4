// The files of a model, opened: what they say of it, and its tensors, of which none is read yet.
#pragma once

#include "base/file.h"
#include "model/families/plan.h"
#include "model/weight_source.h"

namespace safesail {

struct OpenModel {
  ModelPlan plan;
  WeightSource source;
};

/// `path`: a Hugging Face folder or a GGUF file. What is missing, damaged or unknown is an input
/// error.
OpenModel open_model(const fs::path& path);

/// The plan alone; a folder's weights need not be there.
ModelPlan read_plan(const fs::path& path);

}  // namespace safesail
