// The training step in plain LibTorch on any device: dense products, gradients by autograd, nothing
// clever. It is the path for GPUs (where dense products beat row gathers of 200 x 4 KB a token)
// and, on the CPU, the second opinion that the sparse kernels are tested against.
#pragma once

#include <memory>

#include "sae/trainer.h"
#include "sae/trainer_state.h"

namespace safesail {

class AtenStep {
 public:
  /// `device` as LibTorch writes it. On the CPU the tensors are the state's own arrays; on another
  /// device they are copies, which store() brings home.
  AtenStep(TrainerState& state, const TrainerOptions& options, const std::string& device);
  ~AtenStep();

  /// state.n_steps and n_tokens are counted here.
  StepReport run(TrainerState& state, const at::Tensor& z, const at::Tensor& target,
                 const StepSettings& settings);
  void store(TrainerState& state) const;

 private:
  struct Tensors;
  struct Forward;
  Forward forward(const TrainerState& state, const at::Tensor& z, const at::Tensor& target,
                  std::int64_t k, std::span<const at::Tensor> leaves, StepReport& report) const;
  void update(const TrainerState& state, const StepSettings& settings,
              std::span<const at::Tensor> leaves, StepReport& report);

  const TrainerOptions options_;
  std::unique_ptr<Tensors> tensors_;
};

}  // namespace safesail
