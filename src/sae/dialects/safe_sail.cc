// The published Safe-SAIL checkpoints: the encoder alone, in a .pt file of a layer.
//   pre = (x - pre_encoder_bias) W^T + bias; the k largest, or those above theta; then ReLU
// k is a constant of the published demo, 200; the layer stands in the file's name.
#include <fmt/format.h>

#include "sae/dialects/fold.h"
#include "sae/dialects/support.h"
#include "sae/dialects/tensor_set.h"

namespace safesail {
namespace {

constexpr const char *kCentre = "pre_encoder_bias._bias_reference", *kWeight = "encoder.weight",
                     *kBias = "encoder.bias", *kTheta = "encoder.theta";
constexpr std::int64_t kPublishedK = 200;

bool detect(const SaeSource& source) {
  const PickleDict* dict = source.torch_dict();
  return dict != nullptr && dict->find(kCentre) != nullptr && dict->find(kWeight) != nullptr;
}

ImportedSae read(const SaeSource& source, const ReadOptions& options) {
  if (source.torch_dict() == nullptr)
    cannot_read(source, "no .pt file of a dict", "name the file ckpt_layer<n>.pt");
  const auto tensors = TensorSet::from_torch(source.torch(), *source.torch_dict());
  const auto [n_features, d] = tensors.matrix(kWeight);
  const bool is_jumprelu = tensors.contains(kTheta);
  const SaeSpec spec =
      is_jumprelu ? spec_of("jumprelu", Rule::threshold, d, n_features, 0)
                  : spec_of("topk", Rule::top_k, d, n_features, options.k.value_or(kPublishedK));

  const long long layer = number_after(source.called().filename().string(), "layer");
  const std::string site = layer < 0 ? "" : fmt::format("mlp_out.{}", layer);
  ImportedSae imported{Sae(spec, identity_transform(d)), provenance_for(options, site)};
  tensors.read(kWeight, {n_features, d}, imported.sae.w_enc());
  tensors.read(kBias, {n_features}, imported.sae.b_enc());
  tensors.read(kCentre, {d}, imported.sae.b_dec());
  if (is_jumprelu) tensors.read(kTheta, {n_features}, imported.sae.threshold());
  tensors.refuse_unread();
  imported.encoder_only = true;
  imported.notes.emplace_back("encoder_only: the format has no decoder, so nothing can be decoded");
  if (!is_jumprelu && !options.k)
    imported.notes.emplace_back("k = 200, the constant of the published demo: the file holds none");
  return imported;
}

TensorView view(std::span<const float> values, std::vector<std::int64_t> shape) {
  return {DType::f32, std::move(shape), std::as_bytes(values)};
}

void write(const fs::path& out, const ImportedSae& imported) {
  const SaeSpec& spec = imported.sae.spec();
  if (spec.transcoder)
    cannot_write("safe-sail", "a transcoder", "choose saelens, sparsify, openmoss or safesail");
  const Sae plain = fold_transforms(imported.sae, spec.apply_b_dec_to_input);
  const std::vector<float> zeros(std::size_t(spec.d_in));
  const std::int64_t n = spec.n_features, d = spec.d_in;
  std::vector<TorchItem> items = {
      {kCentre, view(spec.apply_b_dec_to_input ? plain.b_dec() : std::span(zeros), {1, d})},
      {kWeight, view(plain.w_enc(), {1, n, d})},
      {kBias, view(plain.b_enc(), {1, n})}};
  if (spec.rule == Rule::threshold) items.push_back({kTheta, view(plain.threshold(), {1, n})});
  write_torch(out, items);
}

}  // namespace

const Dialect kSafeSailDialect = {
    .name = "safe-sail",
    .files = "ckpt_layer<n>.pt with encoder.weight and pre_encoder_bias._bias_reference",
    .detect = detect,
    .read = read,
    .write = write,
    .extension = ".pt",
    .has_decoder = false};

}  // namespace safesail
