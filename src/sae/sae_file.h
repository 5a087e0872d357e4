// What the two files of this room (the checkpoint and the trainer's state) share: the spec and the
// transforms, and reading tensors and the numbers in the metadata. Reading treats the file as
// hostile.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "formats/safetensors.h"
#include "sae/sae.h"

namespace safesail {

template <class T>
NamedTensor named_tensor(std::string name, std::span<const T> values, DType dtype,
                         std::vector<std::int64_t> shape) {
  return {std::move(name), {dtype, std::move(shape), std::as_bytes(values)}};
}
inline NamedTensor named_tensor(std::string name, std::span<const float> values,
                                std::vector<std::int64_t> shape) {
  return named_tensor(std::move(name), values, DType::f32, std::move(shape));
}

/// An input error unless the file holds `name` with this shape: to be asked before anything of that
/// size is allocated.
void require_shape(const SafetensorsFile& file, std::string_view name,
                   const std::vector<std::int64_t>& shape);

/// Checks dtype and shape, then copies; for floats also that all are finite.
void read_tensor(const SafetensorsFile& file, std::string_view name,
                 std::span<const std::int64_t> shape, std::span<float> out);
void read_tensor(const SafetensorsFile& file, std::string_view name,
                 std::span<const std::int64_t> shape, std::span<std::int64_t> out);
void read_tensor(const SafetensorsFile& file, std::string_view name,
                 std::span<const std::int64_t> shape, std::span<std::int32_t> out);

/// A metadata string that must be there.
const std::string& metadata_text(const SafetensorsFile& file, std::string_view key);
/// A metadata number within [low, high].
std::int64_t metadata_integer(const SafetensorsFile& file, const std::string& key, std::int64_t low,
                              std::int64_t high);
std::uint64_t metadata_unsigned(const SafetensorsFile& file, const std::string& key);
float metadata_positive_float(const SafetensorsFile& file, const std::string& key);
bool metadata_flag(const SafetensorsFile& file, const std::string& key);
double metadata_double(const SafetensorsFile& file, const std::string& key, double low,
                       double high);

/// Spec and transforms, as both files begin: metadata and the tensors of the centres (views of the
/// SAE).
std::map<std::string, std::string> sae_header(const Sae& sae);
std::vector<NamedTensor> sae_header_tensors(const Sae& sae);
/// An SAE of that spec with all weights zero. Nothing of its size is allocated before the file has
/// shown a W_enc of that shape.
Sae read_sae_header(const SafetensorsFile& file);

}  // namespace safesail
