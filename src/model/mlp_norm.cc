#include "model/mlp_norm.h"

#include <fmt/format.h>
#include <string>

#include "base/error.h"
#include "model/open_model.h"

namespace safesail {
namespace {

std::vector<float> read_vector(const OpenModel& model, const std::string& name) {
  const WeightSource& source = model.source;
  for (const std::string& prefix : model.plan.map.prefixes) {
    const std::optional<SourceTensor> tensor = source.find(prefix + name);
    if (!tensor) continue;
    if (tensor->shape() != std::vector{model.plan.spec.d_model} || !tensor->is_float())
      bad_input(source.where(),
                fmt::format("expected {} to be {} floats", prefix + name, model.plan.spec.d_model),
                "check that the configuration belongs to these weights");
    std::vector<float> values(static_cast<std::size_t>(model.plan.spec.d_model));
    tensor->read(0, values);
    return values;
  }
  bad_input(source.where(), fmt::format("expected a tensor \"{}\", found none", name),
            "check that every file of this model is there and complete");
}

}  // namespace

MlpNorm read_mlp_norm(const fs::path& path, int layer) {
  const OpenModel model = open_model(path);
  const ModelSpec& spec = model.plan.spec;
  if (layer < 0 || layer >= spec.n_layers)
    bad_input(
        path.string(),
        fmt::format("expected a model with a layer {}, got one with {}", layer, spec.n_layers),
        "give the model that the SAE was trained on");
  std::string module = model.plan.map.mlp_norm;
  if (const std::size_t at = module.find("{}"); at != std::string::npos)
    module.replace(at, 2, std::to_string(layer));
  MlpNorm norm{.weight = read_vector(model, module + ".weight"), .bias = {}};
  for (float& weight : norm.weight) weight += static_cast<float>(model.plan.map.norm_offset);
  if (spec.norm == NormKind::layer) norm.bias = read_vector(model, module + ".bias");
  return norm;
}

}  // namespace safesail
