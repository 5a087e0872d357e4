// sparsify: a folder, named after the module it reads, of cfg.json and sae.safetensors.
//   pre = ReLU((x - b_dec unless transcode) W_e^T + b_e); the k largest; y = codes W_dec + b_dec
// with an optional x W_skip^T. W_dec is [F, d]: rows are features, not transposed.
#include <fmt/format.h>

#include "base/error.h"
#include "formats/safetensors.h"
#include "model/site_names.h"
#include "sae/dialects/fold.h"
#include "sae/dialects/support.h"
#include "sae/dialects/tensor_set.h"
#include "sae/sae_file.h"

namespace safesail {
namespace {

constexpr const char *kConfig = "cfg.json", *kWeights = "sae.safetensors";

bool detect(const SaeSource& source) {
  return source.has(kConfig) && source.has(kWeights);
}

/// The hookpoint is the name of the folder, or of the one above "seed<n>".
std::string hookpoint(const fs::path& folder) {
  const std::string name = folder.filename().string();
  return name.starts_with("seed") ? folder.parent_path().filename().string() : name;
}

ImportedSae read(const SaeSource& source, const ReadOptions& options) {
  const Json json = read_json(source.file(kConfig));
  const JsonObject config(json, source.file(kConfig).string());
  if (const auto activation = config.get_or<std::string>("activation", "topk");
      activation != "topk")
    cannot_read(source, fmt::format("activation {}", printable(activation)),
                "choose a SAE with activation topk");
  if (config.get_or<bool>("signed", false))
    cannot_read(source, "a signed TopK, whose features may be negative", "choose an unsigned one");
  const auto d = config.get_positive("d_in");
  std::int64_t n_features = config.get_or<std::int64_t>("num_latents", 0);
  if (n_features == 0 &&
      __builtin_mul_overflow(d, config.get_positive("expansion_factor"), &n_features))
    bad_input(config.where(), "expected an expansion_factor within reason", "correct it");

  const auto tensors = TensorSet::from_safetensors(source.file(kWeights));
  if (tensors.matrix("encoder.weight") != std::pair(n_features, d))
    tensors.refuse("encoder.weight",
                   fmt::format("expected shape [{}, {}] as {} says", n_features, d, kConfig),
                   "take an undamaged checkpoint");
  SaeSpec spec = spec_of("topk", Rule::top_k, d, n_features,
                         stored_k(source, options, config.get_positive("k")));
  const bool transcode = config.get_or<bool>("transcode", false);
  spec.skip = config.get_or<bool>("skip_connection", false);
  spec.apply_b_dec_to_input = !transcode;
  spec.transcoder = transcode || spec.skip;

  const std::string module = hookpoint(source.called());
  ImportedSae imported{spec.transcoder ? Sae(spec, identity_transform(d), identity_transform(d))
                                       : Sae(spec, identity_transform(d)),
                       provenance_for(options, site_of_module(module, transcode))};
  Sae& sae = imported.sae;
  imported.provenance.hf_module = module;
  if (spec.transcoder) imported.provenance.output_site = text_of(site_of_module(module, false));
  tensors.read("encoder.weight", {n_features, d}, sae.w_enc());
  tensors.read("encoder.bias", {n_features}, sae.b_enc());
  tensors.read("b_dec", {d}, sae.b_dec());
  if (spec.skip) tensors.read("W_skip", {d, d}, sae.w_skip());
  if (tensors.contains("W_dec")) {
    tensors.read("W_dec", {n_features, d}, sae.w_dec());
  } else {
    imported.encoder_only = true;
    imported.notes.emplace_back("encoder_only: the file has no W_dec, so nothing can be decoded");
  }
  tensors.refuse_unread();
  return imported;
}

void write(const fs::path& out, const ImportedSae& imported) {
  const SaeSpec& spec = imported.sae.spec();
  if (spec.rule != Rule::top_k)
    cannot_write("sparsify",
                 fmt::format("architecture {}, which runs by thresholds", spec.architecture),
                 "sparsify knows TopK only; choose saelens, dictionary_learning or gemma-scope");
  if (spec.d_in != spec.d_out)
    cannot_write("sparsify", fmt::format("a transcoder from width {} to {}", spec.d_in, spec.d_out),
                 "sparsify wants equal widths; choose safesail");
  require_decoder("sparsify", imported);
  const bool transcode = spec.transcoder && !spec.apply_b_dec_to_input;
  const Sae plain = fold_transforms(imported.sae, !transcode);
  const std::int64_t n = spec.n_features, d = spec.d_in;
  std::vector<NamedTensor> tensors = {named_tensor("encoder.weight", plain.w_enc(), {n, d}),
                                      named_tensor("encoder.bias", plain.b_enc(), {n}),
                                      named_tensor("W_dec", plain.w_dec(), {n, d}),
                                      named_tensor("b_dec", plain.b_dec(), {d})};
  if (spec.skip) tensors.push_back(named_tensor("W_skip", plain.w_skip(), {d, d}));
  write_safetensors(out / kWeights, tensors);
  write_json(out / kConfig, {{"activation", "topk"},
                             {"expansion_factor", std::max<std::int64_t>(1, n / d)},
                             {"normalize_decoder", false},
                             {"num_latents", n},
                             {"k", spec.k},
                             {"multi_topk", false},
                             {"skip_connection", spec.skip},
                             {"transcode", transcode},
                             {"d_in", d}});
}

}  // namespace

const Dialect kSparsifyDialect = {
    .name = "sparsify",
    .files = "a folder, named layers.<n> or layers.<n>.mlp, of cfg.json and sae.safetensors",
    .detect = detect,
    .read = read,
    .write = write};

}  // namespace safesail
