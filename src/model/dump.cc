#include "model/dump.h"

#include <ATen/ATen.h>
#include <array>
#include <string>
#include <utility>

#include "base/error.h"
#include "formats/safetensors.h"

namespace safesail {
namespace {

void write(const fs::path& out, const std::vector<std::pair<std::string, at::Tensor>>& values) {
  std::vector<at::Tensor> on_cpu;
  std::vector<NamedTensor> tensors;
  for (const auto& [name, value] : values) {
    const at::Tensor& copy = on_cpu.emplace_back(value.to(at::kCPU, at::kFloat).contiguous());
    tensors.push_back({name,
                       {DType::f32,
                        copy.sizes().vec(),
                        {static_cast<const std::byte*>(copy.const_data_ptr()), copy.nbytes()}}});
  }
  write_safetensors(out, tensors);
}

std::array<std::int32_t, 2> one_sequence(std::span<const std::int32_t> ids) {
  if (ids.empty())
    bad_input("ids", "expected at least one token id, got none", "give --ids or --text");
  return {0, static_cast<std::int32_t>(ids.size())};
}

}  // namespace

void dump_logits(const LanguageModel& model, std::span<const std::int32_t> ids,
                 const fs::path& out) {
  const auto starts = one_sequence(ids);
  const ForwardResult result =
      model.forward({.ids = ids, .starts = starts, .logits = ForwardRequest::Logits::all});
  write(out, {{"logits", *result.logits}});
}

void dump_activations(const LanguageModel& model, std::span<const std::int32_t> ids,
                      const std::vector<Site>& sites, const fs::path& out) {
  const auto starts = one_sequence(ids);
  const ForwardResult result = model.forward({.ids = ids, .starts = starts, .read = sites});
  std::vector<std::pair<std::string, at::Tensor>> values;
  for (std::size_t s = 0; s < sites.size(); ++s)
    values.emplace_back(to_string(sites[s]), result.sites[s]);
  write(out, values);
}

}  // namespace safesail
