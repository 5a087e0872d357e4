#include "model/weight_source.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/half.h"

namespace safesail {
namespace {

/// out[i] = convert(element i of `bytes`), which may be unaligned.
template <class From, class To, class Convert>
void convert_each(std::span<const std::byte> bytes, std::span<To> out, Convert convert) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    From value;
    std::memcpy(&value, bytes.data() + i * sizeof(From), sizeof(From));
    out[i] = convert(value);
  }
}

std::span<const std::byte> part(const TensorView& view, std::int64_t first, std::size_t n) {
  const std::size_t size = size_of(view.dtype);
  SAFESAIL_CHECK(first >= 0 && (static_cast<std::size_t>(first) + n) * size <= view.bytes.size());
  return view.bytes.subspan(static_cast<std::size_t>(first) * size, n * size);
}

void copy_bytes(std::span<const std::byte> from, void* to) {
  std::memcpy(to, from.data(), from.size());
}

void read_view(const TensorView& view, std::int64_t first, std::span<float> out) {
  const auto bytes = part(view, first, out.size());
  switch (view.dtype) {
    case DType::f32:
      return copy_bytes(bytes, out.data());
    case DType::bf16:
      return convert_each<std::uint16_t>(bytes, out, float_of_bf16);
    case DType::f16:
      return convert_each<std::uint16_t>(bytes, out, float_of_half);
    case DType::f64:
      return convert_each<double>(bytes, out, [](double v) { return static_cast<float>(v); });
    default:
      SAFESAIL_CHECK(false);
  }
}

void read_view_bf16(const TensorView& view, std::int64_t first, std::span<std::uint16_t> out) {
  const auto bytes = part(view, first, out.size());
  switch (view.dtype) {
    case DType::f32:
      return convert_each<float>(bytes, out, bf16_of_float);
    case DType::bf16:
      return copy_bytes(bytes, out.data());
    case DType::f16:
      return convert_each<std::uint16_t>(
          bytes, out, [](std::uint16_t v) { return bf16_of_float(float_of_half(v)); });
    case DType::f64:
      return convert_each<double>(bytes, out,
                                  [](double v) { return bf16_of_float(static_cast<float>(v)); });
    default:
      SAFESAIL_CHECK(false);
  }
}

}  // namespace

const std::vector<std::int64_t>& SourceTensor::shape() const {
  return std::visit(
      [](const auto* view) -> const auto& { return view->shape; }, view_);
}

bool SourceTensor::is_float() const {
  const auto* view = std::get_if<const TensorView*>(&view_);
  if (view == nullptr) return true;
  const DType dtype = (*view)->dtype;
  return dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::f16 || dtype == DType::f64;
}

std::string_view SourceTensor::dtype_name() const {
  if (const auto* view = std::get_if<const TensorView*>(&view_)) return name_of((*view)->dtype);
  return name_of(std::get<const GgufTensor*>(view_)->type);
}

std::span<const std::byte> SourceTensor::bytes() const {
  return std::visit([](const auto* view) { return view->bytes; }, view_);
}

bool SourceTensor::same_bytes(const SourceTensor& other) const {
  return shape() == other.shape() && dtype_name() == other.dtype_name() &&
         std::ranges::equal(bytes(), other.bytes());
}

void SourceTensor::read(std::int64_t first, std::span<float> out) const {
  if (const auto* view = std::get_if<const TensorView*>(&view_))
    return read_view(**view, first, out);
  dequantize(*std::get<const GgufTensor*>(view_), first, out);
}

void SourceTensor::read_bf16(std::int64_t first, std::span<std::uint16_t> out) const {
  if (const auto* view = std::get_if<const TensorView*>(&view_))
    return read_view_bf16(**view, first, out);
  dequantize_bf16(*std::get<const GgufTensor*>(view_), first, out);
}

std::optional<SourceTensor> WeightSource::find(std::string_view name) const {
  if (const auto* folder = std::get_if<SafetensorsFolder>(&files_)) {
    if (!folder->contains(name)) return std::nullopt;
    return SourceTensor(folder->at(name));
  }
  const auto& tensors = gguf().tensors();
  const auto entry = tensors.find(name);
  if (entry == tensors.end()) return std::nullopt;
  return SourceTensor(entry->second);
}

std::vector<std::string> WeightSource::names() const {
  if (const auto* folder = std::get_if<SafetensorsFolder>(&files_)) return folder->names();
  std::vector<std::string> names;
  for (const auto& [name, tensor] : gguf().tensors()) names.push_back(name);
  return names;
}

void WeightSource::drop_pages() const {
  std::visit([](const auto& files) { files.drop_pages(); }, files_);
}

}  // namespace safesail
