#include "harvest/activation_files.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <utility>

#include "base/error.h"
#include "sae/stored_floats.h"

namespace safesail {
namespace {

constexpr const char* kDocument = "document";

DType dtype_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return DType::f32;
    case at::kBFloat16:
      return DType::bf16;
    case at::kHalf:
      return DType::f16;
    default:
      SAFESAIL_CHECK(false);
      return DType::f32;
  }
}

template <class T>
TensorView view_of(const std::vector<T>& values, DType dtype) {
  return {dtype, {static_cast<std::int64_t>(values.size())}, std::as_bytes(std::span(values))};
}

std::vector<fs::path> shards_of(const fs::path& path) {
  if (!fs::is_directory(path)) return {path};
  std::vector<fs::path> shards;
  for (const fs::directory_entry& entry : fs::directory_iterator(path))
    if (entry.path().extension() == ".safetensors") shards.push_back(entry.path());
  std::sort(shards.begin(), shards.end());
  if (shards.empty())
    bad_input(path.string(), "expected .safetensors files with activations, got none",
              "name the folder that `safesail harvest --out` wrote");
  return shards;
}

/// "x" is what the field calls activations; a site of ours may be named in its place.
const TensorView& activations_of(const SafetensorsFile& file, const std::string& key) {
  const TensorView& tensor = file.at(key);
  if (tensor.shape.size() != 2 || tensor.shape[1] < 1)
    bad_input(file.path().string() + " " + key,
              "expected a tensor [n_tokens, d], got " + tensor.shape_text(),
              "reshape it to two dimensions");
  return tensor;
}

/// A foreign file may have something else by that name.
bool has_document_ids(const SafetensorsFile& file, std::int64_t n_rows) {
  if (!file.contains(kDocument)) return false;
  const TensorView& tensor = file.at(kDocument);
  return tensor.dtype == DType::u64 && tensor.shape == std::vector{n_rows};
}

}  // namespace

std::uint64_t activation_bytes(std::uint64_t n_rows, std::size_t n_sites, std::int64_t d_model,
                               std::size_t bytes_per_value) {
  constexpr std::uint64_t kProvenance = 4 + 4 + 8;  // token, position, document
  return n_rows * (n_sites * static_cast<std::uint64_t>(d_model) * bytes_per_value + kProvenance);
}

ActivationWriter::ActivationWriter(fs::path folder, std::vector<Site> sites,
                                   std::map<std::string, std::string> metadata)
    : folder_(std::move(folder)), sites_(std::move(sites)), metadata_(std::move(metadata)) {
  if (fs::exists(folder_) && (!fs::is_directory(folder_) || !fs::is_empty(folder_)))
    bad_input(folder_.string(), "expected a new or empty folder, got one with files in it",
              "name another folder, or remove this one");
}

void ActivationWriter::write(const ActivationBlock& block) {
  SAFESAIL_CHECK(block.values.size() == sites_.size());
  std::vector<at::Tensor> on_cpu;
  std::vector<NamedTensor> tensors;
  for (std::size_t s = 0; s < sites_.size(); ++s) {
    const at::Tensor& value = on_cpu.emplace_back(block.values[s].cpu().contiguous());
    tensors.push_back({to_string(sites_[s]),
                       {dtype_of(value),
                        value.sizes().vec(),
                        {static_cast<const std::byte*>(value.const_data_ptr()), value.nbytes()}}});
  }
  tensors.push_back({"token", view_of(block.token, DType::i32)});
  tensors.push_back({"position", view_of(block.position, DType::i32)});
  tensors.push_back({kDocument, view_of(block.document, DType::u64)});
  write_safetensors(folder_ / fmt::format("activations-{:05}.safetensors", n_shards_++), tensors,
                    metadata_);
  rows_written_ += block.n_rows();
}

ActivationReader::ActivationReader(const fs::path& path, std::vector<std::string> keys,
                                   std::int64_t block_rows, std::uint64_t first_row,
                                   std::uint64_t end_row)
    : keys_(std::move(keys)), block_rows_(block_rows), row_(first_row) {
  for (const fs::path& shard : shards_of(path)) {
    const SafetensorsFile& file = shards_.emplace_back(shard);
    if (shards_.size() == 1) metadata_ = file.metadata();
    std::erase_if(metadata_, [&](const auto& entry) {
      const auto found = file.metadata().find(entry.first);
      return found == file.metadata().end() || found->second != entry.second;
    });
    const std::int64_t rows = activations_of(file, keys_.front()).shape[0];
    for (std::size_t k = 0; k < keys_.size(); ++k) {
      const TensorView& tensor = activations_of(file, keys_[k]);
      if (!are_floats(tensor.dtype))
        bad_input(shard.string() + " " + keys_[k],
                  fmt::format("expected floats, got {}", name_of(tensor.dtype)),
                  "convert the tensor to a float type");
      if (widths_.size() == k) widths_.push_back(tensor.shape[1]);
      if (tensor.shape[0] != rows || tensor.shape[1] != widths_[k])
        bad_input(shard.string() + " " + keys_[k],
                  fmt::format("expected [{}, {}], got {}", rows, widths_[k], tensor.shape_text()),
                  "the sites of a shard must have equal rows, and all shards equal widths");
    }
    has_documents_ = has_documents_ && has_document_ids(file, rows);
    shard_rows_.push_back(static_cast<std::uint64_t>(rows));
    n_rows_ += static_cast<std::uint64_t>(rows);
  }
  end_row_ = end_row > 0 ? std::min(n_rows_, end_row) : n_rows_;
  if (row_ >= end_row_)
    bad_input(path.string(), "expected activations, got no rows", "harvest some first");
}

void ActivationReader::skip(std::uint64_t n_blocks) {
  // A division, because a hostile state could ask for any number.
  const std::uint64_t rows = static_cast<std::uint64_t>(block_rows_);
  if (n_blocks > (end_row_ - row_ + rows - 1) / rows)
    bad_input("activations", "expected to find the rows where the interrupted run stopped",
              "the files have become shorter; start over with --force");
  row_ = std::min(end_row_, row_ + n_blocks * rows);
}

std::optional<ActivationBlock> ActivationReader::next() {
  if (row_ >= end_row_) return std::nullopt;
  const std::uint64_t end = std::min(end_row_, row_ + static_cast<std::uint64_t>(block_rows_));
  std::vector<std::vector<at::Tensor>> parts(keys_.size());
  ActivationBlock block;
  std::uint64_t shard_begin = 0;
  for (std::size_t i = 0; i < shards_.size(); shard_begin += shard_rows_[i++]) {
    const std::uint64_t from = std::max(row_, shard_begin),
                        to = std::min(end, shard_begin + shard_rows_[i]);
    if (from >= to) continue;
    for (std::size_t k = 0; k < keys_.size(); ++k) {
      const TensorView& view = activations_of(shards_[i], keys_[k]);
      const std::uint64_t row_bytes = static_cast<std::uint64_t>(widths_[k]) * size_of(view.dtype);
      const at::Tensor rows = stored_floats(
          {view.dtype,
           {static_cast<std::int64_t>(to - from), widths_[k]},
           view.bytes.subspan((from - shard_begin) * row_bytes, (to - from) * row_bytes)});
      const bool as_it_is = view.dtype == DType::f32 || view.dtype == DType::bf16;
      parts[k].push_back(as_it_is ? rows : rows.to(at::kFloat));
    }
    if (!has_documents_) continue;
    const std::size_t before = block.document.size(), n = to - from;
    block.document.resize(before + n);
    std::memcpy(
        block.document.data() + before,
        shards_[i].at(kDocument).bytes.data() + (from - shard_begin) * sizeof(std::uint64_t),
        n * sizeof(std::uint64_t));
  }
  for (const std::vector<at::Tensor>& part : parts) block.values.push_back(at::cat(part));
  row_ = end;
  return block;
}

}  // namespace safesail
