// SAELens: a folder of cfg.json and sae_weights.safetensors, of version 6 and before.
// W_enc is [d, F] and W_dec [F, d_out]; b_dec is subtracted after the normalisation of x.
#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "base/error.h"
#include "formats/safetensors.h"
#include "sae/dialects/fold.h"
#include "sae/dialects/support.h"
#include "sae/dialects/tensor_set.h"
#include "sae/sae_file.h"

namespace safesail {
namespace {

/// Of the layout that is written: without it, metadata are taken for those of an older layout and
/// lost.
constexpr const char* kVersion = "6.0.0";
constexpr const char *kConfig = "cfg.json", *kWeights = "sae_weights.safetensors",
                     *kScaler = "activation_scaler.json";

bool detect(const SaeSource& source) {
  return source.has(kConfig) && source.has(kWeights);
}

/// What of cfg.json matters, in the words of version 6.
struct Config {
  std::string architecture, normalize, reshape, hook, hook_out, model, dataset;
  std::optional<bool> prepends_bos;
  std::int64_t context_size = 0;
  std::int64_t d_in = 0, d_sae = 0, d_out = 0, k = 0;
  bool apply_b_dec = true, rescale_by_norm = false, finetuned = false;
};

bool is_transcoder(const Config& config) {
  return config.architecture.ends_with("transcoder");
}

Config parse(const JsonObject& json) {
  const auto metadata = json.find_object("metadata");
  const JsonObject& about = metadata ? *metadata : json;  // flat before version 6
  Config config;
  config.hook = about.get_or<std::string>("hook_name", about.get_or<std::string>("hook_point", ""));
  config.hook_out = about.get_or<std::string>("hook_name_out", "");
  config.model = about.get_or<std::string>("model_name", "");
  config.dataset = about.get_or<std::string>("dataset_path", "");
  config.prepends_bos = about.find<bool>("prepend_bos");
  config.context_size = about.find_positive("context_size").value_or(0);
  config.architecture = json.get_or<std::string>("architecture", "standard");
  config.d_in = json.get_positive("d_in");
  config.d_sae = json.get_positive("d_sae");
  config.d_out = json.find_positive("d_out").value_or(config.d_in);
  config.k = json.get_or<std::int64_t>("k", 0);

  // Before version 6 a TopK was a standard SAE with another activation function.
  const auto activation = json.find<std::string>(
      json.contains("activation_fn") ? "activation_fn" : "activation_fn_str");
  if (activation == "topk") {
    config.architecture = "topk";
    if (const auto kwargs = json.find_object("activation_fn_kwargs"))
      config.k = kwargs->get_positive("k");
  } else if (activation && *activation != "relu") {
    bad_input(json.where(), fmt::format("expected relu or topk, got {}", printable(*activation)),
              "choose an SAE of another activation");
  }
  // And normalize_activations was true or false.
  if (json.contains("normalize_activations") && json.json()["normalize_activations"].is_boolean())
    config.normalize =
        json.get<bool>("normalize_activations") ? "expected_average_only_in" : "none";
  else
    config.normalize = json.get_or<std::string>("normalize_activations", "none");
  const bool is_z = config.hook.find("hook_z") != std::string::npos;
  config.reshape = json.get_or<std::string>("reshape_activations", is_z ? "hook_z" : "none");

  config.apply_b_dec = json.get_or<bool>("apply_b_dec_to_input", !is_transcoder(config));
  const bool is_batch = config.architecture.ends_with("batchtopk");
  config.rescale_by_norm = json.get_or<bool>("rescale_acts_by_decoder_norm", is_batch);
  config.finetuned = json.get_or<bool>("finetuning_scaling_factor", false);
  return config;
}

void refuse_what_we_lack(const SaeSource& source, const Config& config, const JsonObject& json) {
  constexpr std::array kKnown = {"standard",
                                 "topk",
                                 "jumprelu",
                                 "gated",
                                 "batchtopk",
                                 "matryoshka_batchtopk",
                                 "transcoder",
                                 "skip_transcoder",
                                 "jumprelu_transcoder",
                                 "jumprelu_skip_transcoder"};
  if (std::ranges::find(kKnown, config.architecture) == kKnown.end())
    cannot_read(source, fmt::format("architecture {}", printable(config.architecture)),
                "export it with SAELens to one of its sparse architectures");
  if (config.normalize != "none" && config.normalize != "expected_average_only_in")
    cannot_read(source,
                fmt::format("normalize_activations {}, which depends on each token",
                            printable(config.normalize)),
                "choose an SAE without it");
  if (config.normalize != "none" && is_transcoder(config))
    cannot_read(source, "a transcoder with normalised activations", "fold them with SAELens");
  if (is_transcoder(config) && config.apply_b_dec)
    cannot_read(source, "a transcoder with apply_b_dec_to_input",
                "correct cfg.json: SAELens, too, "
                "knows none");
  if (config.reshape != "none")
    cannot_read(source, fmt::format("reshape_activations {}", printable(config.reshape)),
                "SAEs on attention heads before the output projection have no site here");
  const auto metadata = json.find_object("metadata");
  for (const char* key : {"hook_head_index", "hook_point_head_index"})
    if ((metadata ? *metadata : json).contains(key))
      cannot_read(source, "an SAE of one attention head", "choose an SAE of a whole site");
}

/// What x is multiplied by before anything else.
double input_scale(const SaeSource& source, const Config& config, const ReadOptions& options) {
  if (config.normalize == "none") return 1;
  std::optional<double> stored;
  if (source.has(kScaler)) {
    const Json json = read_json(source.file(kScaler));
    stored = JsonObject(json, source.file(kScaler).string()).find<double>("scaling_factor");
  }
  const std::optional<double> scale = options.input_scale ? options.input_scale : stored;
  if (!scale)
    cannot_read(source, "normalize_activations expected_average_only_in without its constant",
                "give --input-scale sqrt(d) / mean |x|, or fold it with SAELens");
  return *scale;
}

void read_finetuning(const TensorSet& tensors, const Config& config, Sae& sae) {
  constexpr const char* kFactor = "scaling_factor";
  if (!tensors.contains(kFactor)) return;
  const auto factors = tensors.vector(kFactor, config.d_sae);
  const bool are_ones = std::ranges::all_of(factors, [](float f) { return f == 1; });
  if (!are_ones && !config.finetuned)
    tensors.refuse(kFactor, "expected ones where finetuning_scaling_factor is false, got others",
                   "correct cfg.json");
  for (std::size_t i = 0; i < sae.w_dec().size(); ++i)
    sae.w_dec()[i] *= factors[i / std::size_t(config.d_out)];
}

ImportedSae read(const SaeSource& source, const ReadOptions& options) {
  const Json json = read_json(source.file(kConfig));
  const JsonObject object(json, source.file(kConfig).string());
  const Config config = parse(object);
  refuse_what_we_lack(source, config, object);
  const auto tensors = TensorSet::from_safetensors(source.file(kWeights));
  if (tensors.matrix("W_enc") != std::pair(config.d_in, config.d_sae))
    tensors.refuse(
        "W_enc",
        fmt::format("expected shape [{}, {}] as {} says", config.d_in, config.d_sae, kConfig),
        "take an undamaged checkpoint");

  const std::string& name = config.architecture;
  const bool is_batch = name.ends_with("batchtopk"), has_skip = name.ends_with("skip_transcoder");
  const std::string_view ours = name == "topk"                   ? "topk"
                                : name == "gated"                ? "gated"
                                : name == "batchtopk"            ? "batchtopk"
                                : name == "matryoshka_batchtopk" ? "matryoshka"
                                : name.starts_with("jumprelu")   ? "jumprelu"
                                                                 : "relu";
  const Rule rule = name == "topk" ? Rule::top_k : Rule::threshold;
  SaeSpec spec = spec_of(std::string(ours), rule, config.d_in, config.d_sae,
                         rule == Rule::top_k ? stored_k(source, options, config.k)
                         : is_batch          ? config.k
                                             : 0);
  spec.d_out = config.d_out;
  spec.transcoder = is_transcoder(config);
  spec.skip = has_skip;
  spec.apply_b_dec_to_input = config.apply_b_dec;

  InputTransform transform = identity_transform(config.d_in);
  transform.scale = float(input_scale(source, config, options));
  ImportedSae imported{spec.transcoder ? Sae(spec, transform, identity_transform(config.d_out))
                                       : Sae(spec, transform),
                       {}};
  Sae& sae = imported.sae;
  imported.provenance.model_name = config.model;
  imported.provenance.prepends_bos = config.prepends_bos;
  imported.provenance.context_size = config.context_size;
  imported.provenance.dataset = config.dataset;

  tensors.read_transposed("W_enc", config.d_in, config.d_sae, sae.w_enc());
  tensors.read("W_dec", {config.d_sae, config.d_out}, sae.w_dec());
  tensors.read("b_dec", {config.d_out}, sae.b_dec());
  if (name == "gated") {
    set_gated(sae, tensors.vector("r_mag", config.d_sae), tensors.vector("b_gate", config.d_sae),
              tensors.vector("b_mag", config.d_sae));
  } else {
    tensors.read("b_enc", {config.d_sae}, sae.b_enc());
  }
  if (name.starts_with("jumprelu")) tensors.read("threshold", {config.d_sae}, sae.threshold());
  if (has_skip) tensors.read("W_skip", {config.d_out, config.d_in}, sae.w_skip());
  read_finetuning(tensors, config, sae);
  if (config.rescale_by_norm) {
    scale_features(sae, decoder_norms(sae), "rescale_acts_by_decoder_norm");
    imported.notes.emplace_back(
        "decoder norms folded into the encoder (rescale_acts_by_decoder_norm)");
  }
  if (is_batch)  // a training checkpoint; exports are jumprelu with the same constant
    std::ranges::fill(sae.threshold(), float(tensors.scalar("topk_threshold")));
  tensors.refuse_unread();
  place_at_hooks(imported, source, options, config.hook, spec.transcoder ? config.hook_out : "");
  return imported;
}

Json known_or_null(std::optional<bool> value) {
  return value ? Json(*value) : Json();
}

void write(const fs::path& out, const ImportedSae& imported) {
  require_decoder("saelens", imported);
  const SaeSpec& spec = imported.sae.spec();
  const bool top_k = spec.rule == Rule::top_k, relu = is_relu(imported.sae);
  if (spec.transcoder && top_k)
    cannot_write("saelens", "a TopK transcoder",
                 "SAELens knows ReLU and JumpReLU transcoders only; choose sparsify or openmoss");
  const Sae plain = fold_transforms(imported.sae, spec.apply_b_dec_to_input && !spec.transcoder);
  const auto [n, d_in, d_out] = std::tuple(spec.n_features, spec.d_in, spec.d_out);
  const std::string architecture =
      !spec.transcoder
          ? (top_k  ? "topk"
             : relu ? "standard"
                    : "jumprelu")
          : fmt::format("{}{}transcoder", relu ? "" : "jumprelu_", spec.skip ? "skip_" : "");

  const std::vector<float> w_enc = transposed(plain.w_enc(), n, d_in);
  std::vector<NamedTensor> tensors = {
      named_tensor("W_enc", std::span<const float>(w_enc), {d_in, n}),
      named_tensor("W_dec", plain.w_dec(), {n, d_out}), named_tensor("b_enc", plain.b_enc(), {n}),
      named_tensor("b_dec", plain.b_dec(), {d_out})};
  if (!top_k && !relu) tensors.push_back(named_tensor("threshold", plain.threshold(), {n}));
  if (spec.skip) tensors.push_back(named_tensor("W_skip", plain.w_skip(), {d_out, d_in}));
  write_safetensors(out / kWeights, tensors);

  const SaeProvenance& from = imported.provenance;
  Json config = {{"architecture", architecture},
                 {"d_in", d_in},
                 {"d_sae", n},
                 {"dtype", "float32"},
                 {"device", "cpu"},
                 {"apply_b_dec_to_input", plain.spec().apply_b_dec_to_input},
                 {"normalize_activations", "none"},
                 {"reshape_activations", "none"},
                 {"metadata",
                  {{"sae_lens_version", kVersion},
                   {"sae_lens_training_version", nullptr},
                   {"model_name", from.model_name},
                   {"hook_name", hook_of(from)},
                   {"hook_head_index", nullptr},
                   {"prepend_bos", known_or_null(from.prepends_bos)}}}};
  if (from.context_size > 0) config["metadata"]["context_size"] = from.context_size;
  if (!from.dataset.empty()) config["metadata"]["dataset_path"] = from.dataset;
  if (top_k) {
    config["k"] = spec.k;
    config["rescale_acts_by_decoder_norm"] = false;
  }
  if (spec.transcoder) {
    config["d_out"] = d_out;
    config["metadata"]["hook_name_out"] = output_hook_of(from);
  }
  write_json(out / kConfig, config);
}

}  // namespace

const Dialect kSaelensDialect = {.name = "saelens",
                                 .files = "a folder of cfg.json and sae_weights.safetensors",
                                 .detect = detect,
                                 .read = read,
                                 .write = write};

}  // namespace safesail
