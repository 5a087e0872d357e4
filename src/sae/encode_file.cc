#include "sae/encode_file.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <fmt/format.h>
#include <vector>

#include "base/error.h"
#include "formats/safetensors.h"
#include "sae/stored_floats.h"

namespace safesail {
namespace {

at::Tensor read_activations(const SafetensorsFile& file, const std::string& key, std::int64_t d) {
  const TensorView& view = file.at(key);
  const std::string where = file.path().string() + " " + key;
  if (view.shape.size() != 2 || view.shape[1] != d)
    bad_input(where, fmt::format("expected [n_tokens, {}], got {}", d, view.shape_text()),
              "use activations of the site that the SAE was trained on");
  const at::Tensor stored = stored_floats(view);
  if (!stored.defined())
    bad_input(where, fmt::format("expected floats, got {}", name_of(view.dtype)),
              "convert the tensor");
  return stored.to(at::kFloat);
}

// [n_tokens, width], as other tools hold codes; a free slot has index -1.
struct PaddedCodes {
  std::int64_t width = 0;
  std::vector<std::int32_t> indices;
  std::vector<float> values;
};

PaddedCodes pad(const SparseCodes& codes, std::int64_t least_width) {
  const auto n = std::size_t(codes.n_tokens());
  PaddedCodes padded{.width = least_width};
  for (std::size_t t = 0; t < n; ++t)
    padded.width = std::max(padded.width, codes.offsets[t + 1] - codes.offsets[t]);
  padded.indices.assign(n * std::size_t(padded.width), -1);
  padded.values.assign(padded.indices.size(), 0.0f);
  for (std::size_t t = 0; t < n; ++t) {
    auto slot = t * std::size_t(padded.width);
    for (auto i = std::size_t(codes.offsets[t]); i < std::size_t(codes.offsets[t + 1]); ++i) {
      padded.indices[slot] = codes.indices[i];
      padded.values[slot++] = codes.values[i];
    }
  }
  return padded;
}

}  // namespace

std::int64_t encode_file(const Sae& sae, const fs::path& in, const std::string& key,
                         const fs::path& out, bool reconstruct) {
  const SafetensorsFile file(in);
  const at::Tensor x = read_activations(file, key, sae.spec().d_in);
  const SparseCodes codes = sae.encode(x);
  const PaddedCodes padded = pad(codes, sae.spec().rule == Rule::top_k ? sae.spec().k : 0);
  const std::vector<std::int64_t> shape = {codes.n_tokens(), padded.width};
  std::vector<NamedTensor> tensors = {
      {"indices", {DType::i32, shape, std::as_bytes(std::span(padded.indices))}},
      {"values", {DType::f32, shape, std::as_bytes(std::span(padded.values))}}};
  at::Tensor xhat;
  if (reconstruct) {
    xhat = sae.decode(codes, x).contiguous();
    tensors.push_back({"xhat",
                       {DType::f32,
                        xhat.sizes().vec(),
                        {static_cast<const std::byte*>(xhat.const_data_ptr()), xhat.nbytes()}}});
  }
  write_safetensors(out, tensors,
                    {{"format", "safesail codes"}, {"k", fmt::to_string(padded.width)}});
  return codes.n_tokens();
}

}  // namespace safesail
