#include "sae/trainer.h"

#include <ATen/ATen.h>
#include <cmath>
#include <fmt/format.h>
#include <optional>

#include "base/error.h"
#include "sae/aten_step.h"
#include "sae/sparse_step.h"
#include "sae/trainer_state.h"

namespace safesail {

// One of the two ways to step is chosen here, once.
struct SaeTrainer::Impl {
  Impl(TrainerState start, const TrainerOptions& trainer_options)
      : options(trainer_options), state(std::move(start)) {
    if (options.device == "cpu") {
      sparse.emplace(state, options);
    } else {
      aten.emplace(state, options, options.device == "aten" ? "cpu" : options.device);
    }
  }

  // On a GPU the state here is as old as the last call of this.
  const TrainerState& at_home() {
    if (aten && stale) aten->store(state);
    stale = false;
    return state;
  }

  const TrainerOptions options;
  TrainerState state;
  std::optional<SparseStep> sparse;
  std::optional<AtenStep> aten;
  bool stale = false;
};

SaeTrainer::SaeTrainer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SaeTrainer::~SaeTrainer() = default;
SaeTrainer::SaeTrainer(SaeTrainer&&) noexcept = default;
SaeTrainer& SaeTrainer::operator=(SaeTrainer&&) noexcept = default;

SaeTrainer::SaeTrainer(Sae sae, const TrainerOptions& options)
    : impl_(std::make_unique<Impl>(TrainerState(std::move(sae)), options)) {}

SaeTrainer SaeTrainer::resume(const fs::path& path, const TrainerOptions& options,
                              std::map<std::string, std::string>* metadata) {
  return SaeTrainer(std::make_unique<Impl>(load_trainer_state(path, metadata), options));
}

StepReport SaeTrainer::step(const at::Tensor& z, double lr) {
  const SaeSpec& spec = impl_->state.sae.spec();
  SAFESAIL_CHECK(z.dim() == 2 && z.size(0) > 0 && z.size(1) == spec.d_model);
  SAFESAIL_CHECK(std::isfinite(lr) && lr >= 0);
  if (impl_->sparse) return impl_->sparse->run(impl_->state, z.contiguous(), lr);
  impl_->stale = true;
  return impl_->aten->run(impl_->state, z, lr);
}

const Sae& SaeTrainer::sae() const {
  return impl_->at_home().sae;
}

std::int64_t SaeTrainer::n_steps() const {
  return impl_->state.n_steps;
}

std::int64_t SaeTrainer::n_tokens() const {
  return impl_->state.n_tokens;
}

std::span<const std::int64_t> SaeTrainer::tokens_since_fired() const {
  return impl_->at_home().tokens_since_fired;
}

void SaeTrainer::save(const fs::path& path,
                      const std::map<std::string, std::string>& metadata) const {
  save_trainer_state(path, impl_->at_home(), metadata);
}

std::uint64_t SaeTrainer::memory_bytes(const SaeSpec& spec, const TrainerOptions& options,
                                       std::int64_t batch_tokens) {
  const auto weights = std::uint64_t(spec.n_features) * std::uint64_t(spec.d_model);
  const auto tokens = std::uint64_t(batch_tokens);
  const bool bf16 = options.selection == Selection::bf16, clips = options.clip_norm > 0;
  // Weights and two moments of both matrices; the rounded encoder; gradients; the batch as columns,
  // as rows and as residual; codes, candidates and their pairs.
  const std::uint64_t state = 6 * sizeof(float) * weights + (bf16 ? 2 * weights : 0);
  const std::uint64_t gradients = 2 * sizeof(float) * (clips ? weights : std::uint64_t{4} << 20);
  const std::uint64_t batch = tokens * std::uint64_t(spec.d_model) * (bf16 ? 10 : 12);
  const std::uint64_t codes = tokens * std::uint64_t(spec.k) * 64;
  return state + gradients + batch + codes;
}

}  // namespace safesail
