#include "sae/trainer.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "sae/aten_step.h"
#include "sae/sparse_step.h"
#include "sae/trainer_state.h"

namespace safesail {

struct SaeTrainer::Impl {
  Impl(TrainerState begin, const TrainerOptions& trainer_options)
      : options(trainer_options), state(std::move(begin)) {
    state.architecture->check(state.sae.spec(), options);
  }

  StepReport step(const at::Tensor& z, const at::Tensor& target, const StepSettings& settings) {
    const SaeSpec& spec = state.sae.spec();
    SAFESAIL_CHECK(z.dim() == 2 && z.size(0) > 0 && z.size(1) == spec.d_in);
    SAFESAIL_CHECK(target.sizes() == at::IntArrayRef({z.size(0), spec.d_out}));
    SAFESAIL_CHECK(std::isfinite(settings.lr) && settings.lr >= 0);
    if (!sparse && !aten) begin(z);
    inference.reset();
    stale = aten.has_value();
    return sparse ? sparse->run(state, z.contiguous(), target.contiguous(), settings)
                  : aten->run(state, z, target, settings);
  }

  // One of the two ways to step is chosen here, once.
  void begin(const at::Tensor& z) {
    if (state.n_steps == 0) state.architecture->start(state, options, z.cpu());
    if (options.device == "cpu") {
      sparse.emplace(state, options);
    } else {
      aten.emplace(state, options, options.device == "aten" ? "cpu" : options.device);
    }
  }

  // On a GPU the state here is as old as the last call of this.
  TrainerState& at_home() {
    if (aten && stale) aten->store(state);
    stale = false;
    return state;
  }

  const TrainerOptions options;
  TrainerState state;
  std::optional<SparseStep> sparse;
  std::optional<AtenStep> aten;
  std::optional<Sae> inference;  ///< where the trained weights are not those that run
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

StepReport SaeTrainer::step(const at::Tensor& z, const StepSettings& settings) {
  SAFESAIL_CHECK(!impl_->state.sae.spec().transcoder);
  return impl_->step(z, z, settings);
}

StepReport SaeTrainer::step(const at::Tensor& z, const at::Tensor& target,
                            const StepSettings& settings) {
  return impl_->step(z, target, settings);
}

const Sae& SaeTrainer::sae() const {
  TrainerState& state = impl_->at_home();
  if (!impl_->inference) impl_->inference = state.architecture->inference_sae(state);
  return impl_->inference ? *impl_->inference : state.sae;
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

bool SaeTrainer::is_finite() const {
  return safesail::is_finite(impl_->at_home());
}

void SaeTrainer::save(const fs::path& path,
                      const std::map<std::string, std::string>& metadata) const {
  save_trainer_state(path, impl_->at_home(), metadata);
}

std::uint64_t SaeTrainer::memory_bytes(const SaeSpec& spec, const TrainerOptions& options,
                                       std::int64_t batch_tokens) {
  const auto weights = std::uint64_t(spec.n_features) * std::uint64_t(spec.d_in + spec.d_out);
  const auto tokens = std::uint64_t(batch_tokens);
  const auto d_in = std::uint64_t(spec.d_in), d_out = std::uint64_t(spec.d_out);
  const Architecture& architecture = find_architecture(spec.architecture);
  const bool bf16 = options.selection == Selection::bf16, clips = options.clip_norm > 0;
  // Weights and two moments; the rounded encoder; gradients of a few features or of all.
  const std::uint64_t state =
      3 * sizeof(float) * weights + (bf16 ? 2 * std::uint64_t(spec.n_features) * d_in : 0);
  const std::uint64_t gradients =
      clips ? sizeof(float) * weights : 2 * sizeof(float) * (std::uint64_t{4} << 20);
  // The batch as columns and as rows, its target, the residual and that of the prefix before.
  const std::uint64_t residuals = architecture.groups(spec).size() > 1 ? 2 : 1;
  const bool own_target = !spec.apply_b_dec_to_input;
  const std::uint64_t batch =
      tokens * (d_in * (bf16 ? 6 : 8) + 4 * d_out * (residuals + (own_target ? 1 : 0)));
  // A pair's feature, token, values and gradients. ReLU and Gated start at four times their L0; a
  // thresholded encoder lets more candidates through.
  constexpr std::uint64_t kPairBytes = 28;
  const std::uint64_t pairs = tokens * std::uint64_t(std::max<std::int64_t>(spec.k, 1)) *
                              (spec.rule == Rule::top_k ? 1 : 4);
  return state + gradients + batch + pairs * kPairBytes;
}

}  // namespace safesail
