#include "model/open_model.h"

#include <fmt/format.h>
#include <utility>

#include "base/error.h"
#include "formats/model_path.h"
#include "model/families/config_keys.h"

namespace safesail {
namespace {

constexpr std::uint64_t kMaxConfigBytes = std::uint64_t{16} << 20;

[[noreturn]] void no_model(const fs::path& path) {
  bad_input(path.string(),
            "expected a model: a folder with a config.json, or a GGUF file; got neither",
            "name a Hugging Face model folder or a .gguf file");
}

ModelPlan plan_of_folder(const fs::path& folder) {
  const fs::path config = folder / "config.json";
  if (!fs::exists(config)) no_model(folder);
  ModelPlan plan = plan_from_config(read_file(config, kMaxConfigBytes), config.string());
  // Its word on where a text ends goes before that of config.json, as in transformers.
  if (const fs::path generation = folder / "generation_config.json"; fs::exists(generation)) {
    const Json parsed = read_json(generation, {.max_bytes = kMaxConfigBytes});
    std::vector<std::int32_t> eos =
        read_ids(JsonObject(parsed, generation.string()), "eos_token_id");
    if (!eos.empty()) plan.spec.eos = std::move(eos);
  }
  return plan;
}

}  // namespace

OpenModel open_model(const fs::path& path) {
  switch (kind_of_model(path)) {
    case ModelPath::folder: {
      ModelPlan plan = plan_of_folder(path);
      return {std::move(plan), WeightSource(SafetensorsFolder(path), path.string())};
    }
    case ModelPath::gguf: {
      GgufFile file(path);
      ModelPlan plan = plan_from_gguf(file);
      return {std::move(plan), WeightSource(std::move(file))};
    }
    case ModelPath::other:
      break;
  }
  no_model(path);
}

ModelPlan read_plan(const fs::path& path) {
  switch (kind_of_model(path)) {
    case ModelPath::folder:
      return plan_of_folder(path);
    case ModelPath::gguf:
      return plan_from_gguf(GgufFile(path));
    case ModelPath::other:
      break;
  }
  no_model(path);
}

}  // namespace safesail
