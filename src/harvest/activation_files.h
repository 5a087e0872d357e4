// Activations on disk: a folder of safetensors shards, each with the sites' values and their
// provenance. See docs/formats/activations.md. Writing says its size first and checks the disk.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "formats/safetensors.h"
#include "harvest/block.h"
#include "model/site.h"

namespace safesail {

/// Bytes that `n_rows` rows of `n_sites` sites will take on disk.
std::uint64_t activation_bytes(std::uint64_t n_rows, std::size_t n_sites, std::int64_t d_model,
                               std::size_t bytes_per_value);

/// Writes shard after shard, "activations-00000.safetensors"...; each appears whole or not at all.
class ActivationWriter {
 public:
  /// `metadata` is written into every shard.
  ActivationWriter(fs::path folder, std::vector<Site> sites,
                   std::map<std::string, std::string> metadata);
  void write(const ActivationBlock& block);
  std::uint64_t rows_written() const { return rows_written_; }

 private:
  const fs::path folder_;
  const std::vector<Site> sites_;
  const std::map<std::string, std::string> metadata_;
  std::uint64_t n_shards_ = 0, rows_written_ = 0;
};

/// Reads the shards of a folder (or one file) as blocks, one block for up to `block_rows` rows.
/// `keys` names the tensors to read, one a site ("x" for foreign files). Blocks have `document`
/// where every shard has it as the writer writes it; token and position are left out.
class ActivationReader final : public BlockSource {
 public:
  /// The rows [first_row, end_row) of the folder; end_row 0: to its end.
  ActivationReader(const fs::path& path, std::vector<std::string> keys, std::int64_t block_rows,
                   std::uint64_t first_row = 0, std::uint64_t end_row = 0);

  std::optional<ActivationBlock> next() override;
  void skip(std::uint64_t n_blocks) override;

  /// That all files have in common, with the same value.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// Of the whole folder, whatever the range.
  std::uint64_t n_rows() const { return n_rows_; }
  /// Whether the files tell documents apart.
  bool has_documents() const { return has_documents_; }
  /// Width of each key's rows.
  const std::vector<std::int64_t>& widths() const { return widths_; }

 private:
  std::vector<SafetensorsFile> shards_;
  const std::vector<std::string> keys_;
  const std::int64_t block_rows_;
  std::vector<std::int64_t> widths_;
  std::vector<std::uint64_t> shard_rows_;
  std::uint64_t n_rows_ = 0, row_ = 0, end_row_ = 0;
  bool has_documents_ = true;
  std::map<std::string, std::string> metadata_;
};

}  // namespace safesail
