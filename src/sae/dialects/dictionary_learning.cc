// dictionary_learning: a state_dict in ae.pt, whose class stands in config.json beside it
// (trainer.dict_class). Every class is read as its own loader and default inference use it. A file
// written in the middle of a run nests the state_dict under "ae" and has not yet taken norm_factor
// into the biases; that is done here, as the end of a run does it.
#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>

#include "base/error.h"
#include "sae/dialects/fold.h"
#include "sae/dialects/support.h"
#include "sae/dialects/tensor_set.h"

namespace safesail {
namespace {

constexpr const char *kFile = "ae.pt", *kConfig = "config.json";

bool detect(const SaeSource& source) {
  if (source.is_folder()) return source.has(kFile);
  const PickleDict* dict = source.torch_dict();
  if (dict == nullptr) return false;
  const auto has = [&](const std::string& name) {
    return dict->find(name) != nullptr || dict->find(kCompiledPrefix + name) != nullptr;
  };
  return has("ae") || (has("encoder.weight") && has("decoder.weight")) ||
         (has("W_enc") && has("threshold"));
}

/// A checkpoint, its class and where it was trained, from whatever says so.
struct Checkpoint {
  TensorSet tensors;
  std::string dict_class, model, submodule;
  std::int64_t k = 0;                 ///< that the config names; 0: none
  std::optional<double> norm_factor;  ///< still to be taken into the biases
};

std::string text_or_empty(const PickleDict& dict, std::string_view key) {
  const PickleValue* value = dict.find(key);
  const auto* text = value == nullptr ? nullptr : value->as<std::string_view>();
  return text == nullptr ? "" : std::string(*text);
}

Checkpoint open(const SaeSource& source) {
  const auto file =
      source.is_folder() ? std::make_shared<const TorchFile>(source.file(kFile)) : source.torch();
  if (file == nullptr || file->root().dict() == nullptr)
    cannot_read(source, "no .pt file of a dict", "name ae.pt or its folder");
  const PickleDict* root = file->root().dict();
  Checkpoint checkpoint;
  if (const PickleValue* ae = root->find("ae")) {
    if (ae->dict() == nullptr)
      cannot_read(source, fmt::format("a {} under \"ae\"", ae->kind()), "take another checkpoint");
    checkpoint.tensors = TensorSet::from_torch(file, *ae->dict());
    const PickleValue* config = root->find("config");
    if (config != nullptr && config->dict() != nullptr) {
      checkpoint.dict_class = text_or_empty(*config->dict(), "dict_class");
      checkpoint.model = text_or_empty(*config->dict(), "lm_name");
      checkpoint.submodule = text_or_empty(*config->dict(), "submodule_name");
    }
    const auto outer = TensorSet::from_torch(file, *root);
    if (outer.contains("norm_factor")) checkpoint.norm_factor = outer.scalar("norm_factor");
  } else {
    checkpoint.tensors = TensorSet::from_torch(file, *root);
  }

  // Beside ae.pt, or one above where the file lies in checkpoints/.
  fs::path folder = source.is_folder() ? source.path() : source.path().parent_path();
  if (!source.is_folder() && !fs::exists(folder / kConfig)) folder = folder.parent_path();
  if (!fs::is_regular_file(folder / kConfig)) return checkpoint;
  const Json json = read_json(folder / kConfig);
  const JsonObject config(json, (folder / kConfig).string());
  if (const auto trainer = config.find_object("trainer")) {
    checkpoint.dict_class = trainer->get_or<std::string>("dict_class", checkpoint.dict_class);
    checkpoint.model = trainer->get_or<std::string>("lm_name", checkpoint.model);
    checkpoint.submodule = trainer->get_or<std::string>("submodule_name", checkpoint.submodule);
    checkpoint.k = trainer->get_or<std::int64_t>("k", 0);
  }
  return checkpoint;
}

/// The class as its keys tell it, where no config does.
std::string class_of(const SaeSource& source, const TensorSet& tensors) {
  const auto has = [&](const char* name) { return tensors.contains(name); };
  if (has("gate_bias")) return "GatedAutoEncoder";
  if (has("group_sizes")) return "MatryoshkaBatchTopKSAE";
  if (has("W_enc") && has("threshold")) return "JumpReluAutoEncoder";
  if (has("decoder.bias")) return "AutoEncoderNew";
  if (has("bias")) return "AutoEncoder";
  cannot_read(source, "AutoEncoderTopK or BatchTopKSAE, whose files look alike",
              "put the run's config.json beside ae.pt, with trainer.dict_class");
}

/// "resid_post_layer_8" -> "resid_post.8".
std::string site_of_submodule(const std::string& name) {
  const std::size_t at = name.find("_layer_");
  const long long layer = number_after(name, "_layer_");
  if (at == std::string::npos || layer < 0) return {};
  return text_of(find_site(fmt::format("{}.{}", name.substr(0, at), layer)));
}

struct Names {
  std::string_view w_enc, b_enc, w_dec, b_dec;
  bool by_rows = true;  ///< W_enc [F, d] and W_dec [d, F], as torch.nn.Linear; else the transposes
};

Names names_of(std::string_view dict_class) {
  if (dict_class == "AutoEncoder")
    return {"encoder.weight", "encoder.bias", "decoder.weight", "bias"};
  if (dict_class == "AutoEncoderNew")
    return {"encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"};
  if (dict_class == "GatedAutoEncoder")
    return {"encoder.weight", "", "decoder.weight", "decoder_bias"};
  if (dict_class == "AutoEncoderTopK" || dict_class == "BatchTopKSAE")
    return {"encoder.weight", "encoder.bias", "decoder.weight", "b_dec"};
  return {"W_enc", "b_enc", "W_dec", "b_dec", false};
}

SaeSpec spec_for(const SaeSource& source, const ReadOptions& options,
                 const Checkpoint& checkpoint) {
  const std::string& name = checkpoint.dict_class;
  const TensorSet& tensors = checkpoint.tensors;
  constexpr std::array kClasses = {std::pair{"AutoEncoder", "relu"},
                                   std::pair{"AutoEncoderNew", "relu"},
                                   std::pair{"GatedAutoEncoder", "gated"},
                                   std::pair{"AutoEncoderTopK", "topk"},
                                   std::pair{"BatchTopKSAE", "batchtopk"},
                                   std::pair{"JumpReluAutoEncoder", "jumprelu"},
                                   std::pair{"MatryoshkaBatchTopKSAE", "matryoshka"}};
  const auto known = std::ranges::find_if(kClasses, [&](const auto& c) { return name == c.first; });
  if (known == kClasses.end())
    cannot_read(source, fmt::format("class {}", printable(name)),
                "choose one of AutoEncoder, AutoEncoderNew, GatedAutoEncoder, AutoEncoderTopK, "
                "BatchTopKSAE, JumpReluAutoEncoder, MatryoshkaBatchTopKSAE");
  const Names names = names_of(name);
  auto [n_features, d] = tensors.matrix(names.w_enc);
  if (!names.by_rows) std::swap(n_features, d);
  std::int64_t k = 0;
  if (tensors.contains("k")) k = stored_k(source, options, std::int64_t(tensors.scalar("k")));
  if (name == "AutoEncoderTopK") {  // older files have k in the config alone; both must agree
    if (k == 0)
      k = checkpoint.k > 0 ? stored_k(source, options, checkpoint.k) : required_k(source, options);
    if (checkpoint.k > 0 && checkpoint.k != k)
      tensors.refuse("k", fmt::format("expected {} as {} says, got {}", checkpoint.k, kConfig, k),
                     "correct trainer.k");
  }
  SaeSpec spec = spec_of(known->second, name == "AutoEncoderTopK" ? Rule::top_k : Rule::threshold,
                         d, n_features, k);
  spec.apply_b_dec_to_input = name != "AutoEncoderNew" && name != "JumpReluAutoEncoder";
  if (name == "MatryoshkaBatchTopKSAE") {
    std::int64_t end = 0;
    for (const std::int64_t size : tensors.integers("group_sizes")) {
      if (size < 1 || size > n_features - end)
        tensors.refuse("group_sizes", fmt::format("expected sizes that sum to {}", n_features),
                       "take an undamaged checkpoint");
      spec.groups.push_back(end += size);
    }
    check(spec);
  }
  return spec;
}

/// One threshold for all; -1 is one that training never set, and then the rule is a plain ReLU.
void read_common_threshold(ImportedSae& imported, const TensorSet& tensors, double norm_factor) {
  const double threshold = tensors.scalar("threshold");
  if (threshold < 0)
    imported.notes.emplace_back("threshold -1: training never set it, so the SAE runs as a ReLU");
  std::ranges::fill(imported.sae.threshold(), float(std::max(threshold, 0.0) * norm_factor));
}

bool are_unit(std::span<const float> norms) {
  return std::ranges::all_of(norms, [](float n) { return std::abs(n - 1) <= 1e-5f; });
}

ImportedSae read(const SaeSource& source, const ReadOptions& options) {
  Checkpoint checkpoint = open(source);
  const TensorSet& tensors = checkpoint.tensors;
  if (checkpoint.dict_class.empty()) checkpoint.dict_class = class_of(source, tensors);
  const std::string& name = checkpoint.dict_class;
  const SaeSpec spec = spec_for(source, options, checkpoint);
  const std::int64_t d = spec.d_in, n = spec.n_features;
  ImportedSae imported{Sae(spec, identity_transform(d)),
                       provenance_for(options, site_of_submodule(checkpoint.submodule))};
  imported.provenance.model_name = checkpoint.model;
  Sae& sae = imported.sae;
  const Names names = names_of(name);
  if (names.by_rows) {
    tensors.read(names.w_enc, {n, d}, sae.w_enc());
    tensors.read_transposed(names.w_dec, d, n, sae.w_dec());
  } else {
    tensors.read_transposed(names.w_enc, d, n, sae.w_enc());
    tensors.read(names.w_dec, {n, d}, sae.w_dec());
  }
  tensors.read(names.b_dec, {d}, sae.b_dec());
  if (name == "GatedAutoEncoder")
    set_gated(sae, tensors.vector("r_mag", n), tensors.vector("gate_bias", n),
              tensors.vector("mag_bias", n));
  else
    tensors.read(names.b_enc, {n}, sae.b_enc());
  if (name == "JumpReluAutoEncoder") tensors.read("threshold", {n}, sae.threshold());

  const double norm_factor = checkpoint.norm_factor.value_or(1);
  if (!(norm_factor > 0) || !std::isfinite(float(norm_factor)))
    cannot_read(source, fmt::format("norm_factor {}", norm_factor), "take another checkpoint");
  if (norm_factor != 1) {
    for (const auto biases : {sae.b_enc(), sae.b_dec(), sae.threshold()})
      for (float& bias : biases) bias = float(bias * norm_factor);
    imported.notes.emplace_back(fmt::format("norm_factor {:g} taken into the biases", norm_factor));
  }
  if (spec.architecture == "batchtopk" || spec.architecture == "matryoshka")
    read_common_threshold(imported, tensors, norm_factor);

  const auto norms = decoder_norms(sae);
  if (name == "AutoEncoderNew" || (name == "AutoEncoder" && !are_unit(norms))) {
    scale_features(sae, norms, "decoder.weight");
    imported.notes.emplace_back(
        "values are those of unit decoder rows, as its loader reports them");
  }
  return imported;
}

/// The class that holds the SAE with the same values.
std::string class_for(const Sae& sae) {
  const SaeSpec& spec = sae.spec();
  const auto threshold = common_threshold(sae);
  if (spec.rule == Rule::top_k) return "AutoEncoderTopK";
  if (threshold && *threshold > 0 && spec.architecture == "batchtopk") return "BatchTopKSAE";
  if (threshold && *threshold > 0 && !spec.groups.empty()) return "MatryoshkaBatchTopKSAE";
  // AutoEncoder's loader would rescale values where rows are not of unit norm.
  if (is_relu(sae) && are_unit(decoder_norms(sae))) return "AutoEncoder";
  return "JumpReluAutoEncoder";
}

void write(const fs::path& out, const ImportedSae& imported) {
  require_plain_sae("dictionary_learning", imported);
  require_decoder("dictionary_learning", imported);
  const SaeSpec& spec = imported.sae.spec();
  const std::int64_t n = spec.n_features, d = spec.d_in;
  const Sae unnamed = fold_transforms(imported.sae, true);
  const std::string name = class_for(unnamed);
  const Sae plain = fold_transforms(imported.sae, name != "JumpReluAutoEncoder");
  const Names names = names_of(name);
  const auto view = [](std::span<const float> values, std::vector<std::int64_t> shape) {
    return TensorView{DType::f32, std::move(shape), std::as_bytes(values)};
  };
  const auto w_enc = transposed(plain.w_enc(), n, d), w_dec = transposed(plain.w_dec(), n, d);
  const auto k = std::int32_t(std::max<std::int64_t>(spec.k, 1));
  const float threshold = common_threshold(plain).value_or(-1);
  std::vector<std::int64_t> group_sizes;
  for (std::size_t g = 0; g < spec.groups.size(); ++g)
    group_sizes.push_back(spec.groups[g] - (g == 0 ? 0 : spec.groups[g - 1]));

  std::vector<TorchItem> items = {
      {std::string(names.b_dec), view(plain.b_dec(), {d})},
      {std::string(names.b_enc), view(plain.b_enc(), {n})},
      {std::string(names.w_enc), names.by_rows ? view(plain.w_enc(), {n, d}) : view(w_enc, {d, n})},
      {std::string(names.w_dec),
       names.by_rows ? view(w_dec, {d, n}) : view(plain.w_dec(), {n, d})}};
  if (name == "JumpReluAutoEncoder") {
    items.push_back({"threshold", view(plain.threshold(), {n})});
  } else if (name != "AutoEncoder") {
    items.push_back({"k", TensorView{DType::i32, {}, std::as_bytes(std::span(&k, 1))}});
    items.push_back({"threshold", view(std::span(&threshold, 1), {})});
  }
  if (name == "MatryoshkaBatchTopKSAE")
    items.push_back({"group_sizes", TensorView{DType::i64,
                                               {std::int64_t(group_sizes.size())},
                                               std::as_bytes(std::span(group_sizes))}});
  write_torch(out / kFile, items);

  std::string submodule = imported.provenance.site;
  if (const auto dot = submodule.find('.'); dot != std::string::npos)
    submodule.replace(dot, 1, "_layer_");
  write_json(out / kConfig, {{"trainer",
                              {{"dict_class", name},
                               {"activation_dim", d},
                               {"dict_size", n},
                               {"k", spec.k},
                               {"lm_name", imported.provenance.model_name},
                               {"submodule_name", submodule}}},
                             {"buffer", Json::object()}});
}

}  // namespace

const Dialect kDictionaryLearningDialect = {
    .name = "dictionary_learning",
    .files = "ae.pt with config.json beside it, or their folder trainer_<n>",
    .detect = detect,
    .read = read,
    .write = write};

}  // namespace safesail
