// The second half of an evaluation: what the model loses when reconstructions, zeros or means stand
// in for activations. A batch takes one clean pass; each edit then goes on from the layer that it
// changes. One thread; holds sums, and the final hidden states of a few edits.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "train/evaluate.h"

namespace at {
class Tensor;
}

namespace safesail {

class LossPass {
 public:
  /// `means`: [d] f32 of the output site of every cell. All must outlive the pass.
  LossPass(const LanguageModel& model, const std::vector<EvaluationCell>& cells,
           const std::map<Site, at::Tensor>& means);

  /// That add() holds at its highest, for a batch of `n_tokens`, besides what an SAE needs to
  /// reconstruct.
  static std::uint64_t bytes(const LanguageModel& model, std::size_t n_sites, std::size_t n_tokens);

  void add(const TokenBatch& batch);
  /// Fills the losses of the results, one a cell.
  void fill(const EvaluationConfig& config, std::span<CellResult> results) const;

  static constexpr std::array<std::int32_t, 6> kBuckets{0, 1, 4, 16, 64, 256};  ///< first positions

 private:
  struct CleanPass;
  /// Sums over the tokens of a bucket.
  struct PositionSums {
    std::uint64_t n_predicted = 0;
    double delta = 0, kl = 0;         // over predictions
    double error = 0, deviation = 0;  // over content tokens
  };

  // Edits in order: zero and mean of each site of ablated_, then the cells. Columns of sums_:
  // tokens, clean loss, then loss and KL of each edit.
  std::size_t n_edits() const { return 2 * ablated_.size() + cells_.size(); }
  std::size_t edit_of_cell(std::size_t cell) const { return 2 * ablated_.size() + cell; }
  std::size_t edit_of_zero(const Site& site) const;
  static std::size_t loss_column(std::size_t edit) { return 2 + 2 * edit; }
  static std::size_t kl_column(std::size_t edit) { return 3 + 2 * edit; }

  CleanPass run_clean(const TokenBatch& batch) const;
  const Site& site_of(std::size_t edit) const;
  /// What the edit puts into the content rows of its site.
  at::Tensor replacement(std::size_t edit, const TokenBatch& batch, const CleanPass& clean);
  void compare(const TokenBatch& batch, const CleanPass& clean, std::size_t first_edit,
               std::span<const at::Tensor> edited);

  const LanguageModel& model_;
  const std::vector<EvaluationCell>& cells_;
  const std::map<Site, at::Tensor>& means_;
  std::vector<Site> ablated_;  ///< the distinct output sites
  std::vector<Site> read_;     ///< every site that is read, and resid_pre of the layers of ablated_
  DocumentSums sums_;
  std::vector<std::array<PositionSums, kBuckets.size()>> positions_;  // a cell
};

}  // namespace safesail
