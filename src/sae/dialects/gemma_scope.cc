// Gemma Scope: a JumpReLU whose b_dec is not subtracted:
//   pre = x W_enc + b_enc; codes = ReLU(pre) (pre > threshold); xhat = codes W_dec + b_dec [+ x A]
// The first release is params.npz in folders that tell the site, as in
// gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_82; the second config.json and
// params.safetensors, with names in lower case. The transcoders of the first were trained on the
// norm's output before its weight ("we fold the pre-MLP RMS norm gain parameters into the MLP input
// matrices", arXiv:2408.05147, page 18), those of the second on the norm's output as it is.
#include <fmt/format.h>

#include "base/error.h"
#include "formats/npz.h"
#include "formats/safetensors.h"
#include "model/site_names.h"
#include "sae/dialects/fold.h"
#include "sae/dialects/support.h"
#include "sae/dialects/tensor_set.h"
#include "sae/sae_file.h"

namespace safesail {
namespace {

constexpr const char *kFile = "params.npz", *kConfig = "config.json",
                     *kWeights = "params.safetensors";

bool detect(const SaeSource& source) {
  if (!source.is_folder()) return source.path().extension() == ".npz";
  if (source.has(kFile)) return true;
  if (!source.has(kConfig) || !source.has(kWeights)) return false;
  const Json json = read_json(source.file(kConfig));
  return json.is_object() && json.contains("hf_hook_point_in");
}

ImportedSae jumprelu_of(std::int64_t d_in, std::int64_t n_features, std::int64_t d_out,
                        long long l0, bool transcoder, bool skip) {
  SaeSpec spec =
      spec_of("jumprelu", Rule::threshold, d_in, n_features, l0 >= 0 && l0 <= n_features ? l0 : 0);
  spec.apply_b_dec_to_input = false;
  spec.d_out = d_out;
  spec.transcoder = transcoder;
  spec.skip = skip;
  return {transcoder ? Sae(spec, identity_transform(d_in), identity_transform(d_out))
                     : Sae(spec, identity_transform(d_in)),
          {}};
}

ImportedSae read_first(const SaeSource& source, const ReadOptions& options) {
  const auto tensors = TensorSet::from_npz(source.is_folder() ? source.file(kFile) : source.path());
  const auto [d_in, n_features] = tensors.matrix("W_enc");
  const auto [n_decoder, d_out] = tensors.matrix("W_dec");
  const std::string path = source.called().string();
  const auto contains = [&](std::string_view part) { return path.find(part) != path.npos; };
  ImportedSae imported = jumprelu_of(d_in, n_features, d_out, number_after(path, "average_l0_"),
                                     contains("transcoders") || d_in != d_out, false);
  Sae& sae = imported.sae;
  tensors.read_transposed("W_enc", d_in, n_features, sae.w_enc());
  tensors.read("b_enc", {n_features}, sae.b_enc());
  tensors.read("threshold", {n_features}, sae.threshold());
  tensors.read("W_dec", {n_features, d_out}, sae.w_dec());
  tensors.read("b_dec", {d_out}, sae.b_dec());
  tensors.refuse_unread();

  // gemma-scope-2b-pt-res is of gemma-2-2b, gemma-scope-9b-it-res of gemma-2-9b-it.
  for (const char* model : {"2b-pt", "9b-pt", "27b-pt", "9b-it"})
    if (contains(std::string("gemma-scope-") + model))
      imported.provenance.model_name =
          "google/gemma-2-" + std::string(model, std::string_view(model).find("-pt"));
  const int layer = int(number_after(path, "layer_"));
  const auto site = [&](SiteKind kind) {
    return layer < 0 ? std::optional<Site>() : Site{kind, layer};
  };
  const auto hook = [&](const char* name) {
    return layer < 0 ? "" : fmt::format("blocks.{}.{}", layer, name);
  };
  if (sae.spec().transcoder) {
    place_at_hooks(imported, source, options, hook("ln2.hook_normalized"), "");
    imported.provenance.output_site = text_of(site(SiteKind::mlp_post));
    return imported;
  }
  const std::string model = imported.provenance.model_name;
  if (contains("-mlp")) {
    imported.provenance = provenance_for(options, site(SiteKind::mlp_post));
  } else if (contains("-att")) {
    imported.provenance = provenance_for(options, "");
    imported.notes.emplace_back(
        "reads the attention heads before their projection: not a site here");
  } else {
    imported.provenance = provenance_for(options, site(SiteKind::resid_post));
    if (!contains("-res") && options.site.empty())
      imported.notes.emplace_back("taken as an SAE of the residual stream: the path does not tell");
  }
  imported.provenance.model_name = model;
  return imported;
}

/// "model.layers.5.output" -> resid_post.5; nothing for what is no module's output.
std::optional<Site> site_of_point(std::string_view point) {
  constexpr std::string_view kOutput = ".output";
  if (!point.ends_with(kOutput)) return std::nullopt;
  point.remove_suffix(kOutput.size());
  return site_of_module(point, false);
}

ImportedSae read_second(const SaeSource& source, const ReadOptions& options) {
  const Json json = read_json(source.file(kConfig));
  const JsonObject config(json, source.file(kConfig).string());
  if (const auto name = config.get<std::string>("architecture"); name != "jump_relu")
    cannot_read(source, fmt::format("architecture {}", printable(name)),
                "choose one of architecture jump_relu");
  const auto tensors = TensorSet::from_safetensors(source.file(kWeights));
  if (tensors.shape("w_dec").size() != 2)
    cannot_read(source, "a transcoder across layers", "choose an SAE or transcoder of one layer");
  const auto [d_in, n_features] = tensors.matrix("w_enc");
  const auto [n_decoder, d_out] = tensors.matrix("w_dec");
  if (const auto width = config.find_positive("width"); width && *width != n_features)
    tensors.refuse("w_enc", fmt::format("expected {} features as {} says", *width, kConfig),
                   "take an undamaged checkpoint");
  const auto point = config.get<std::string>("hf_hook_point_in");
  const auto point_out = config.find<std::string>("hf_hook_point_out").value_or(point);
  const bool skip = tensors.contains("affine_skip_connection");
  if (config.get_or<bool>("affine_connection", skip) != skip)
    tensors.refuse("affine_skip_connection",
                   fmt::format("expected what {} says of affine_connection", kConfig),
                   "take an undamaged checkpoint");
  ImportedSae imported =
      jumprelu_of(d_in, n_features, d_out, (long long)config.get_or<double>("l0", 0),
                  point_out != point || skip, skip);
  imported.provenance = provenance_for(options, site_of_point(point));
  imported.provenance.hf_module = point;
  imported.provenance.model_name = config.get_or<std::string>("model_name", "");
  if (imported.sae.spec().transcoder)
    imported.provenance.output_site = text_of(site_of_point(point_out));
  if (imported.provenance.site.empty())
    imported.notes.push_back(fmt::format("reads {}: not a site here", printable(point)));

  Sae& sae = imported.sae;
  tensors.read_transposed("w_enc", d_in, n_features, sae.w_enc());
  tensors.read("b_enc", {n_features}, sae.b_enc());
  tensors.read("threshold", {n_features}, sae.threshold());
  tensors.read("w_dec", {n_features, d_out}, sae.w_dec());
  tensors.read("b_dec", {d_out}, sae.b_dec());
  if (skip) tensors.read_transposed("affine_skip_connection", d_in, d_out, sae.w_skip());
  tensors.refuse_unread();
  return imported;
}

ImportedSae read(const SaeSource& source, const ReadOptions& options) {
  const bool is_second = source.is_folder() && !source.has(kFile);
  return is_second ? read_second(source, options) : read_first(source, options);
}

void write(const fs::path& out, const ImportedSae& imported) {
  const SaeSpec& spec = imported.sae.spec();
  if (spec.rule != Rule::threshold)
    cannot_write("gemma-scope", "a TopK SAE", "the format holds thresholds; choose sparsify");
  if (spec.skip) cannot_write("gemma-scope", "a skip connection", "choose saelens or sparsify");
  if (spec.transcoder)
    cannot_write("gemma-scope", "a transcoder, which only the path would tell", "choose saelens");
  require_decoder("gemma-scope", imported);
  const Sae plain = fold_transforms(imported.sae, false);
  const std::int64_t n = spec.n_features, d = spec.d_in;
  const std::vector<float> w_enc = transposed(plain.w_enc(), n, d);
  write_npz(out,
            std::vector<NamedTensor>{named_tensor("W_enc", std::span<const float>(w_enc), {d, n}),
                                     named_tensor("W_dec", plain.w_dec(), {n, d}),
                                     named_tensor("b_enc", plain.b_enc(), {n}),
                                     named_tensor("b_dec", plain.b_dec(), {d}),
                                     named_tensor("threshold", plain.threshold(), {n})});
}

}  // namespace

const Dialect kGemmaScopeDialect = {
    .name = "gemma-scope",
    .files =
        "params.npz, or its folder average_l0_<n>; or a folder of config.json with "
        "hf_hook_point_in and params.safetensors",
    .detect = detect,
    .read = read,
    .write = write,
    .extension = ".npz"};

}  // namespace safesail
