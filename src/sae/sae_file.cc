#include "sae/sae_file.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "sae/architecture.h"

namespace safesail {
namespace {

constexpr const char* kRemedy = "take an undamaged file that Safesail wrote, or convert it first";

void copy_checked(const SafetensorsFile& file, std::string_view name, DType dtype,
                  std::span<const std::int64_t> shape, std::span<std::byte> out) {
  require_shape(file, name, {shape.begin(), shape.end()});
  const TensorView& tensor = file.at(name);
  if (tensor.dtype != dtype) {
    bad_input(fmt::format("{}: {}", file.path().string(), name),
              fmt::format("expected {}, got {}", name_of(dtype), name_of(tensor.dtype)), kRemedy);
  }
  SAFESAIL_CHECK(tensor.bytes.size() == out.size());
  if (!out.empty()) std::memcpy(out.data(), tensor.bytes.data(), out.size());
}

template <class T>
T parse(const SafetensorsFile& file, const std::string& key, const std::string& text, T low,
        T high) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || !(number >= low && number <= high)) {
    bad_input(
        fmt::format("{}: metadata {}", file.path().string(), key),
        fmt::format("expected a number from {} to {}, got '{}'", low, high, text.substr(0, 40)),
        kRemedy);
  }
  return number;
}

template <class T>
T parse_number(const SafetensorsFile& file, const std::string& key, T low, T high) {
  return parse(file, key, metadata_text(file, key), low, high);
}

// Whether the key has the first of the only two texts that it may have.
bool is_first(const SafetensorsFile& file, const std::string& key, std::string_view first,
              std::string_view second) {
  const std::string& text = metadata_text(file, key);
  if (text != first && text != second)
    bad_input(fmt::format("{}: metadata {}", file.path().string(), key),
              fmt::format("expected {} or {}, got '{}'", first, second, text.substr(0, 40)),
              kRemedy);
  return text == first;
}

const char* name_of(Rule rule) {
  return rule == Rule::top_k ? "top_k" : "threshold";
}

}  // namespace

void require_shape(const SafetensorsFile& file, std::string_view name,
                   const std::vector<std::int64_t>& shape) {
  const TensorView& tensor = file.at(name);
  if (tensor.shape == shape) return;
  bad_input(fmt::format("{}: {}", file.path().string(), name),
            fmt::format("expected shape [{}], got {}", fmt::join(shape, ", "), tensor.shape_text()),
            kRemedy);
}

void read_tensor(const SafetensorsFile& file, std::string_view name,
                 std::span<const std::int64_t> shape, std::span<float> out) {
  copy_checked(file, name, DType::f32, shape, std::as_writable_bytes(out));
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (std::isfinite(out[i])) continue;
    bad_input(fmt::format("{}: {}", file.path().string(), name),
              fmt::format("expected finite numbers, got {} at element {}", out[i], i), kRemedy);
  }
}

void read_tensor(const SafetensorsFile& file, std::string_view name,
                 std::span<const std::int64_t> shape, std::span<std::int64_t> out) {
  copy_checked(file, name, DType::i64, shape, std::as_writable_bytes(out));
}

void read_tensor(const SafetensorsFile& file, std::string_view name,
                 std::span<const std::int64_t> shape, std::span<std::int32_t> out) {
  copy_checked(file, name, DType::i32, shape, std::as_writable_bytes(out));
}

const std::string& metadata_text(const SafetensorsFile& file, std::string_view key) {
  const auto entry = file.metadata().find(std::string(key));
  if (entry == file.metadata().end()) {
    bad_input(file.path().string(), fmt::format("expected metadata '{}', got none", key), kRemedy);
  }
  return entry->second;
}

std::int64_t metadata_integer(const SafetensorsFile& file, const std::string& key, std::int64_t low,
                              std::int64_t high) {
  return parse_number<std::int64_t>(file, key, low, high);
}

std::uint64_t metadata_unsigned(const SafetensorsFile& file, const std::string& key) {
  return parse_number<std::uint64_t>(file, key, 0, std::numeric_limits<std::uint64_t>::max());
}

float metadata_positive_float(const SafetensorsFile& file, const std::string& key) {
  return parse_number<float>(file, key, std::numeric_limits<float>::min(),
                             std::numeric_limits<float>::max());
}

bool metadata_flag(const SafetensorsFile& file, const std::string& key) {
  return is_first(file, key, "true", "false");
}

double metadata_double(const SafetensorsFile& file, const std::string& key, double low,
                       double high) {
  return parse_number<double>(file, key, low, high);
}

std::map<std::string, std::string> sae_header(const Sae& sae) {
  const SaeSpec& spec = sae.spec();
  const auto flag = [](bool set) { return set ? "true" : "false"; };
  std::map<std::string, std::string> strings{
      {"architecture", spec.architecture},
      {"rule", name_of(spec.rule)},
      {"d_in", std::to_string(spec.d_in)},
      {"d_out", std::to_string(spec.d_out)},
      {"n_features", std::to_string(spec.n_features)},
      {"k", std::to_string(spec.k)},
      {"apply_b_dec_to_input", flag(spec.apply_b_dec_to_input)},
      {"transcoder", flag(spec.transcoder)},
      {"skip", flag(spec.skip)},
      {"groups", fmt::format("{}", fmt::join(spec.groups, ","))},
      {"scale", fmt::format("{}", sae.transform().scale)},
  };
  if (spec.transcoder) strings["out_scale"] = fmt::format("{}", sae.output_transform().scale);
  return strings;
}

std::vector<NamedTensor> sae_header_tensors(const Sae& sae) {
  const auto center = [](const char* name, const InputTransform& transform) {
    return named_tensor(name, std::span<const float>(transform.center),
                        {std::int64_t(transform.center.size())});
  };
  std::vector<NamedTensor> tensors{center("center", sae.transform())};
  if (sae.spec().transcoder) tensors.push_back(center("out_center", sae.output_transform()));
  return tensors;
}

Sae read_sae_header(const SafetensorsFile& file) {
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
  SaeSpec spec{.architecture = metadata_text(file, "architecture"),
               .d_in = metadata_integer(file, "d_in", 1, kMost),
               .d_out = metadata_integer(file, "d_out", 1, kMost),
               .n_features = metadata_integer(file, "n_features", 1, kMost),
               .rule = is_first(file, "rule", name_of(Rule::top_k), name_of(Rule::threshold))
                           ? Rule::top_k
                           : Rule::threshold,
               .k = metadata_integer(file, "k", 0, kMost),
               .apply_b_dec_to_input = metadata_flag(file, "apply_b_dec_to_input"),
               .transcoder = metadata_flag(file, "transcoder"),
               .skip = metadata_flag(file, "skip")};
  const std::string& groups = metadata_text(file, "groups");
  for (std::size_t at = 0; at < groups.size();) {
    const std::size_t comma = std::min(groups.find(',', at), groups.size());
    spec.groups.push_back(
        parse<std::int64_t>(file, "groups", groups.substr(at, comma - at), 1, kMost));
    at = comma + 1;
  }
  find_architecture(spec.architecture);
  check(spec);
  require_shape(file, "W_enc", {spec.n_features, spec.d_in});
  require_shape(file, "W_dec", {spec.n_features, spec.d_out});
  if (spec.skip) require_shape(file, "W_skip", {spec.d_out, spec.d_in});
  InputTransform input = identity_transform(spec.d_in), output = identity_transform(spec.d_out);
  read_tensor(file, "center", std::vector{spec.d_in}, input.center);
  input.scale = metadata_positive_float(file, "scale");
  if (!spec.transcoder) return {std::move(spec), std::move(input)};
  read_tensor(file, "out_center", std::vector{spec.d_out}, output.center);
  output.scale = metadata_positive_float(file, "out_scale");
  return {std::move(spec), std::move(input), std::move(output)};
}

}  // namespace safesail
