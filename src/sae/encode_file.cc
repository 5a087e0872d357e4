#include "sae/encode_file.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <vector>

#include "base/error.h"
#include "formats/safetensors.h"

namespace safesail {
namespace {

at::Tensor read_activations(const SafetensorsFile& file, const std::string& key,
                            std::int64_t d_model) {
  const TensorView& view = file.at(key);
  const std::string where = file.path().string() + " " + key;
  if (view.shape.size() != 2 || view.shape[1] != d_model)
    bad_input(where, fmt::format("expected [n_tokens, {}], got {}", d_model, view.shape_text()),
              "use activations of the site that the SAE was trained on");
  at::ScalarType type = at::kFloat;
  if (view.dtype == DType::bf16)
    type = at::kBFloat16;
  else if (view.dtype == DType::f16)
    type = at::kHalf;
  else if (view.dtype != DType::f32)
    bad_input(where, fmt::format("expected F32, BF16 or F16, got {}", name_of(view.dtype)),
              "convert the tensor");
  return at::from_blob(const_cast<std::byte*>(view.bytes.data()), view.shape,
                       at::TensorOptions(type))
      .to(at::kFloat);
}

}  // namespace

std::int64_t encode_file(const Sae& sae, const fs::path& in, const std::string& key,
                         const fs::path& out, bool reconstruct) {
  const SafetensorsFile file(in);
  const at::Tensor x = read_activations(file, key, sae.spec().d_model);
  const SparseCodes codes = sae.encode(x);
  const std::vector<std::int64_t> shape = {codes.n_tokens(), codes.k};
  std::vector<NamedTensor> tensors = {
      {"indices", {DType::i32, shape, std::as_bytes(std::span(codes.indices))}},
      {"values", {DType::f32, shape, std::as_bytes(std::span(codes.values))}}};
  at::Tensor xhat;
  if (reconstruct) {
    xhat = sae.decode(codes).contiguous();
    tensors.push_back({"xhat",
                       {DType::f32,
                        xhat.sizes().vec(),
                        {static_cast<const std::byte*>(xhat.const_data_ptr()), xhat.nbytes()}}});
  }
  write_safetensors(out, tensors, {{"format", "safesail codes"}, {"k", fmt::to_string(codes.k)}});
  return codes.n_tokens();
}

}  // namespace safesail
