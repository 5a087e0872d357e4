// Qwen-Scope: layer<n>.sae.pt, a dict {W_enc [F, d], W_dec [d, F], b_enc, b_dec}; TopK on the
// residual stream, b_dec not subtracted. k (50 or 100) stands only in the repository's name, as in
// SAE-Res-Qwen3-1.7B-Base-W32K-L0_50.
#include <fmt/format.h>

#include "sae/dialects/fold.h"
#include "sae/dialects/support.h"
#include "sae/dialects/tensor_set.h"

namespace safesail {
namespace {

bool detect(const SaeSource& source) {
  const PickleDict* dict = source.torch_dict();
  if (dict == nullptr || dict->find("threshold") != nullptr) return false;
  for (const char* name : {"W_enc", "W_dec", "b_enc", "b_dec"})
    if (dict->find(name) == nullptr) return false;
  return true;
}

ImportedSae read(const SaeSource& source, const ReadOptions& options) {
  if (source.torch_dict() == nullptr)
    cannot_read(source, "no .pt file of a dict", "name the file layer<n>.sae.pt");
  const auto tensors = TensorSet::from_torch(source.torch(), *source.torch_dict());
  const auto [n_features, d] = tensors.matrix("W_enc");
  const std::string path = source.called().string();
  const long long named_k = number_after(path, "L0_");
  SaeSpec spec = spec_of("topk", Rule::top_k, d, n_features,
                         named_k > 0 && !options.k ? named_k : required_k(source, options));
  spec.apply_b_dec_to_input = false;
  const long long layer = number_after(source.called().filename().string(), "layer");
  ImportedSae imported{
      Sae(spec, identity_transform(d)),
      provenance_for(options, layer < 0 ? "" : fmt::format("resid_post.{}", layer))};
  tensors.read("W_enc", {n_features, d}, imported.sae.w_enc());
  tensors.read("b_enc", {n_features}, imported.sae.b_enc());
  tensors.read_transposed("W_dec", d, n_features, imported.sae.w_dec());
  tensors.read("b_dec", {d}, imported.sae.b_dec());
  tensors.refuse_unread();
  return imported;
}

void write(const fs::path& out, const ImportedSae& imported) {
  const SaeSpec& spec = imported.sae.spec();
  if (spec.rule != Rule::top_k)
    cannot_write("qwen-scope",
                 fmt::format("architecture {}, which runs by thresholds", spec.architecture),
                 "the format knows TopK only; choose gemma-scope or saelens");
  require_plain_sae("qwen-scope", imported);
  require_decoder("qwen-scope", imported);
  const Sae plain = fold_transforms(imported.sae, false);
  const std::int64_t n = spec.n_features, d = spec.d_in;
  const std::vector<float> w_dec = transposed(plain.w_dec(), n, d);
  const auto view = [](std::span<const float> values, std::vector<std::int64_t> shape) {
    return TensorView{DType::f32, std::move(shape), std::as_bytes(values)};
  };
  write_torch(out, std::vector<TorchItem>{{"W_enc", view(plain.w_enc(), {n, d})},
                                          {"W_dec", view(w_dec, {d, n})},
                                          {"b_enc", view(plain.b_enc(), {n})},
                                          {"b_dec", view(plain.b_dec(), {d})}});
}

}  // namespace

const Dialect kQwenScopeDialect = {.name = "qwen-scope",
                                   .files = "layer<n>.sae.pt with W_enc, W_dec, b_enc and b_dec",
                                   .detect = detect,
                                   .read = read,
                                   .write = write,
                                   .extension = ".pt"};

}  // namespace safesail
