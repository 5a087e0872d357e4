// Gemma Scope: params.npz in folders that tell the site, as in
// gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_82. A JumpReLU whose b_dec is not subtracted:
//   pre = x W_enc + b_enc; codes = ReLU(pre) (pre > threshold); xhat = codes W_dec + b_dec
#include <fmt/format.h>

#include "formats/npz.h"
#include "formats/safetensors.h"
#include "sae/dialects/fold.h"
#include "sae/dialects/hooks.h"
#include "sae/dialects/support.h"
#include "sae/dialects/tensor_set.h"
#include "sae/sae_file.h"

namespace safesail {
namespace {

constexpr const char* kFile = "params.npz";

bool detect(const SaeSource& source) {
  return source.is_folder() ? source.has(kFile) : source.path().extension() == ".npz";
}

ImportedSae read(const SaeSource& source, const ReadOptions& options) {
  const auto tensors = TensorSet::from_npz(source.is_folder() ? source.file(kFile) : source.path());
  const auto [d_in, n_features] = tensors.matrix("W_enc");
  const auto [n_decoder, d_out] = tensors.matrix("W_dec");
  const std::string path = fs::weakly_canonical(source.path()).string();
  const auto contains = [&](std::string_view part) { return path.find(part) != path.npos; };

  const long long l0 = number_after(path, "average_l0_");
  SaeSpec spec =
      spec_of("jumprelu", Rule::threshold, d_in, n_features, l0 >= 0 && l0 <= n_features ? l0 : 0);
  spec.apply_b_dec_to_input = false;
  spec.transcoder = contains("transcoders") || d_in != d_out;
  spec.d_out = d_out;

  const long long layer = number_after(path, "layer_");
  const auto site = [&](std::string_view kind) {
    return layer < 0 ? "" : fmt::format("{}.{}", kind, layer);
  };
  ImportedSae imported{spec.transcoder
                           ? Sae(spec, identity_transform(d_in), identity_transform(d_out))
                           : Sae(spec, identity_transform(d_in)),
                       {}};
  if (spec.transcoder) {
    imported.provenance = provenance_for(options, site("mlp_in"));
    imported.provenance.output_site = site("mlp_post");
  } else if (contains("-mlp")) {
    imported.provenance = provenance_for(options, site("mlp_post"));
  } else if (contains("-att")) {
    imported.provenance = provenance_for(options, "");
    imported.notes.emplace_back(
        "reads the attention heads before their projection: not a site here");
  } else {
    imported.provenance = provenance_for(options, site("resid_post"));
    if (!contains("-res") && options.site.empty())
      imported.notes.emplace_back("taken as an SAE of the residual stream: the path does not tell");
  }

  Sae& sae = imported.sae;
  tensors.read_transposed("W_enc", d_in, n_features, sae.w_enc());
  tensors.read("b_enc", {n_features}, sae.b_enc());
  tensors.read("threshold", {n_features}, sae.threshold());
  tensors.read("W_dec", {n_features, d_out}, sae.w_dec());
  tensors.read("b_dec", {d_out}, sae.b_dec());
  return imported;
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

const Dialect kGemmaScopeDialect = {.name = "gemma-scope",
                                    .files = "params.npz, or its folder average_l0_<n>",
                                    .detect = detect,
                                    .read = read,
                                    .write = write,
                                    .extension = ".npz"};

}  // namespace safesail
