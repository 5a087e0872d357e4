// What a model's files say of it: the one neutral description (ModelSpec), and where its weights
// lie (WeightMap). Free functions; every byte they read may be hostile, and what is wrong or
// unknown is an input error that names the file and the key.
#pragma once

#include <string>
#include <string_view>

#include "formats/gguf.h"
#include "model/families/weight_map.h"
#include "model/spec.h"

namespace safesail {

struct ModelPlan {
  ModelSpec spec;
  WeightMap map;
  bool operator==(const ModelPlan&) const = default;
};

/// Both check what they made (check_spec) and throw an input error that lists the known families
/// when theirs is none of them.
ModelPlan plan_from_config(std::string_view config_json, const std::string& where);
ModelPlan plan_from_gguf(const GgufFile& file);

}  // namespace safesail
