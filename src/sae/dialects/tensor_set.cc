#include "sae/dialects/tensor_set.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "formats/json.h"
#include "formats/nearest.h"
#include "formats/npz.h"
#include "formats/safetensors.h"
#include "sae/stored_floats.h"

namespace safesail {
namespace {

constexpr std::string_view kDamaged = "take an undamaged checkpoint of the format";

template <class T>
TensorView scalar_view(T value, DType dtype, std::vector<std::shared_ptr<const void>>& owners) {
  auto stored = std::make_shared<const T>(value);
  const TensorView view{dtype, {}, std::as_bytes(std::span(stored.get(), 1))};
  owners.push_back(std::move(stored));
  return view;
}

}  // namespace

TensorSet TensorSet::from_safetensors(const fs::path& path) {
  const auto file = std::make_shared<const SafetensorsFile>(path);
  TensorSet set;
  set.where_ = path.string();
  set.tensors_ = file->tensors();
  set.owner_ = file;
  return set;
}

TensorSet TensorSet::from_npz(const fs::path& path) {
  const auto file = std::make_shared<NpzFile>(path);
  TensorSet set;
  set.where_ = path.string();
  for (const std::string& name : file->names()) set.tensors_.emplace(name, file->at(name));
  set.owner_ = file;
  return set;
}

TensorSet TensorSet::from_torch(std::shared_ptr<const TorchFile> file, const PickleDict& dict) {
  TensorSet set;
  set.where_ = file->where();
  for (const auto& [key, value] : dict.items) {
    const auto* text = key->as<std::string_view>();
    if (text == nullptr) continue;
    std::string_view name = *text;
    if (name.starts_with(kCompiledPrefix))
      name.remove_prefix(std::string_view(kCompiledPrefix).size());
    std::optional<TensorView> view;
    if (const auto* tensor = value->as<TensorView>())
      view = *tensor;
    else if (const auto* integer = value->as<std::int64_t>())
      view = scalar_view(*integer, DType::i64, set.scalars_);
    else if (const auto* number = value->as<double>())
      view = scalar_view(*number, DType::f64, set.scalars_);
    if (view) set.tensors_.insert_or_assign(std::string(name), *view);
  }
  set.owner_ = std::move(file);
  return set;
}

std::vector<std::string> TensorSet::names() const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors_) names.push_back(name);
  return names;
}

void TensorSet::refuse_unread(std::initializer_list<std::string_view> harmless) const {
  for (const auto& [name, tensor] : tensors_)
    if (!read_.contains(name) && std::ranges::find(harmless, name) == harmless.end())
      refuse(
          printable(name), "expected no such tensor in an SAE of this form",
          "take it out if it changes no result; else the SAE is of a kind that is not known here");
}

void TensorSet::refuse(std::string_view name, std::string_view problem,
                       std::string_view remedy) const {
  bad_input(fmt::format("{}: {}", where_, name), problem, remedy);
}

const TensorView& TensorSet::at(std::string_view name) const {
  const auto entry = tensors_.find(name);
  if (entry == tensors_.end())
    bad_input(where_,
              fmt::format("expected a tensor {}; the nearest names are {}", printable(name),
                          nearest_keys(name, tensors_)),
              "check that the file is of this format");
  read_.emplace(name);
  return entry->second;
}

std::pair<std::int64_t, std::int64_t> TensorSet::matrix(std::string_view name) const {
  std::span<const std::int64_t> dims = at(name).shape;
  while (dims.size() > 2 && dims.front() == 1) dims = dims.subspan(1);
  if (dims.size() != 2 || dims[0] < 1 || dims[1] < 1)
    refuse(name, fmt::format("expected a matrix, got {}", at(name).shape_text()), kDamaged);
  return {dims[0], dims[1]};
}

void TensorSet::read(std::string_view name, const std::vector<std::int64_t>& shape,
                     std::span<float> out) const {
  const TensorView& tensor = at(name);
  std::span<const std::int64_t> dims = tensor.shape;
  while (dims.size() > shape.size() && dims.front() == 1) dims = dims.subspan(1);
  if (!std::equal(dims.begin(), dims.end(), shape.begin(), shape.end()))
    refuse(name,
           fmt::format("expected shape [{}], got {}", fmt::join(shape, ", "), tensor.shape_text()),
           kDamaged);
  const at::Tensor stored = stored_floats(tensor);
  if (!stored.defined())
    refuse(name, fmt::format("expected floats, got {}", name_of(tensor.dtype)), kDamaged);
  SAFESAIL_CHECK(tensor.n_elements() == std::int64_t(out.size()));
  at::from_blob(out.data(), tensor.shape).copy_(stored);
  for (std::size_t i = 0; i < out.size(); ++i)
    if (!std::isfinite(out[i]))
      refuse(name, fmt::format("expected finite numbers, got {} at element {}", out[i], i),
             kDamaged);
}

void TensorSet::read_transposed(std::string_view name, std::int64_t rows, std::int64_t columns,
                                std::span<float> out) const {
  std::vector<float> stored(out.size());
  read(name, {rows, columns}, stored);
  at::from_blob(out.data(), {columns, rows})
      .copy_(at::from_blob(stored.data(), {rows, columns}).t());
}

std::vector<float> TensorSet::vector(std::string_view name, std::int64_t n) const {
  if (at(name).n_elements() != n)
    refuse(name, fmt::format("expected {} numbers, got shape {}", n, at(name).shape_text()),
           kDamaged);
  std::vector<float> values(static_cast<std::size_t>(n));
  read(name, {n}, values);
  return values;
}

double TensorSet::scalar(std::string_view name) const {
  const TensorView& tensor = at(name);
  if (tensor.n_elements() != 1)
    refuse(name, fmt::format("expected one number, got shape {}", tensor.shape_text()), kDamaged);
  const at::Tensor stored = stored_floats(tensor);
  if (!stored.defined()) return double(integers(name).front());
  const double value = stored.to(at::kDouble).item<double>();
  if (!std::isfinite(value)) refuse(name, "expected a finite number", kDamaged);
  return value;
}

std::vector<std::int64_t> TensorSet::integers(std::string_view name) const {
  const TensorView& tensor = at(name);
  const std::size_t size = size_of(tensor.dtype);
  if ((tensor.dtype != DType::i64 && tensor.dtype != DType::i32) || tensor.shape.size() > 1)
    refuse(name,
           fmt::format("expected whole numbers, got {} {}", name_of(tensor.dtype),
                       tensor.shape_text()),
           kDamaged);
  std::vector<std::int64_t> values(tensor.bytes.size() / size);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (size == 8) {
      std::memcpy(&values[i], tensor.bytes.data() + i * size, size);
    } else {
      std::int32_t narrow = 0;
      std::memcpy(&narrow, tensor.bytes.data() + i * size, size);
      values[i] = narrow;
    }
  }
  return values;
}

std::vector<float> transposed(std::span<const float> matrix, std::int64_t rows,
                              std::int64_t columns) {
  std::vector<float> result(matrix.size());
  at::from_blob(result.data(), {columns, rows})
      .copy_(at::from_blob(const_cast<float*>(matrix.data()), {rows, columns}).t());
  return result;
}

}  // namespace safesail
