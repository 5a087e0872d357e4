// The row kernels of the CPU against the same in ATen, over widths around the vector sizes.
#include "model/ops.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/golden_testing.h"
#include "model/instruction_sets_testing.h"

namespace safesail {
namespace {

using testing::expect_close;

constexpr std::int64_t kWidths[] = {1, 3, 7, 8, 15, 16, 17, 31, 33, 64, 576};
// Sums of up to 576 f32 in another order: sqrt(576) 2^-24 = 1.5e-6 of the norm; exp is good to a
// few ulp. bf16 results may land on the other side of a rounding border: one step, 2^-8 of the
// element, and elements reach some four rms.
double tolerance(at::ScalarType type) {
  return type == at::kFloat ? 1e-5 : 0.02;
}

at::Tensor noise(at::IntArrayRef shape, at::ScalarType type = at::kFloat, double scale = 1) {
  return (at::randn(shape) * scale).to(type);
}

void check_norms(at::ScalarType type) {
  for (const NormKind kind : {NormKind::rms, NormKind::layer})
    for (const std::int64_t width : kWidths) {
      ModelSpec spec;
      spec.norm = kind;
      const Norm weights{noise({width}), kind == NormKind::layer ? noise({width}) : at::Tensor()};
      at::Tensor x = noise({5, width}, type) + 2, same_x = x.clone();
      const at::Tensor delta = noise({5, width}, type);
      at::Tensor out = at::empty_like(x), expected = at::empty_like(x);
      norm(spec, weights, x, out);
      aten::add_norm(spec, weights, same_x, nullptr, expected);
      expect_close(out, expected, tolerance(type), "norm " + std::to_string(width));
      EXPECT_TRUE(x.equal(same_x));
      add_norm(spec, weights, x, delta, out);
      aten::add_norm(spec, weights, same_x, &delta, expected);
      expect_close(out, expected, tolerance(type), "add_norm " + std::to_string(width));
      EXPECT_TRUE(x.equal(same_x)) << "the sum is rounded as ATen rounds it";
    }
}

void check_rotation(at::ScalarType type) {
  for (const std::int64_t head_dim : {2, 6, 10, 16, 34, 64, 80})
    for (const bool qk_norm : {false, true})
      for (const std::int64_t rotary : {std::int64_t{2}, head_dim / 4 * 2, head_dim}) {
        ModelSpec spec;
        spec.n_heads = 3;
        spec.n_kv_heads = 1;
        spec.head_dim = head_dim;
        spec.qk_norm = qk_norm;
        LayerWeights weights;
        if (qk_norm)
          weights.q_norm.weight = noise({head_dim}), weights.k_norm.weight = noise({head_dim});
        Rope rope;
        for (std::int64_t i = 0; i < rotary / 2; ++i)
          rope.inv_freq.push_back(1.0f / static_cast<float>(i + 1));
        const RopeTable table = rope_table(rope, at::tensor({0, 1, 5, 900}, at::kLong));
        at::Tensor qkv = noise({4, spec.qkv_dim()}, type), expected = qkv.clone();
        rotate(spec, weights, table, qkv);
        aten::rotate(spec, weights, table, expected);
        expect_close(qkv, expected, tolerance(type), "rotate " + std::to_string(head_dim));
        EXPECT_TRUE(qkv.narrow(1, 4 * head_dim, head_dim)
                        .equal(expected.narrow(1, 4 * head_dim, head_dim)));
      }
}

void check_gates(at::ScalarType type) {
  for (const Activation activation : {Activation::silu, Activation::gelu_tanh, Activation::gelu})
    for (const std::int64_t width : kWidths) {
      ModelSpec spec;
      spec.activation = activation;
      at::Tensor gate_up = noise({5, 2 * width}, type, 3);
      // Where exp(-x) overflows, where tanh is flat, and zero.
      for (const float extreme : {-1e4f, -90.0f, 90.0f, 1e4f, 0.0f})
        gate_up[at::randint(5, {1}).item<std::int64_t>()]
               [at::randint(width, {1}).item<std::int64_t>()] = extreme;
      at::Tensor out = at::empty({5, width}, type), expected = at::empty_like(out);
      gate(spec, gate_up, out);
      aten::gate(spec, gate_up, expected);
      EXPECT_TRUE(at::allclose(out.to(at::kFloat), expected.to(at::kFloat), tolerance(type), 1e-5))
          << "width " << width << ", worst "
          << (out.to(at::kFloat) - expected.to(at::kFloat)).abs().max().item<float>();
    }
}

void check_losses(at::ScalarType type) {
  for (const double cap : {0.0, 5.0})
    for (const std::int64_t width : kWidths) {
      ModelSpec spec;
      spec.final_softcap = cap;
      const at::Tensor logits = noise({4, width}, type, 8);
      const auto last = static_cast<std::int32_t>(width - 1);
      const at::Tensor targets = at::tensor({0, last, -1, last / 2}, at::kInt);
      at::Tensor capped = logits.to(at::kDouble);
      if (cap > 0) capped = (capped / cap).tanh() * cap;
      const at::Tensor chosen =
          capped.gather(1, targets.clamp_min(0).to(at::kLong).unsqueeze(1)).squeeze(1);
      const at::Tensor expected = (capped.logsumexp(1) - chosen).masked_fill(targets.lt(0), 0);
      for (const std::int64_t piece : {width, (width + 1) / 2, std::int64_t{16}}) {
        RunningLoss loss(targets);
        at::Tensor highest = at::full({4}, -INFINITY), sum = at::zeros({4}), found = at::zeros({4});
        for (std::int64_t id = 0; id < width; id += piece)
          for (std::int64_t row = 0; row < 4; row += 3) {
            const at::Tensor part = logits.narrow(0, row, std::min<std::int64_t>(3, 4 - row))
                                        .narrow(1, id, std::min(piece, width - id))
                                        .contiguous();
            loss.add(spec, part, row, id);
            aten::add_loss(spec, part, targets.narrow(0, row, part.size(0)), id,
                           highest.narrow(0, row, part.size(0)), sum.narrow(0, row, part.size(0)),
                           found.narrow(0, row, part.size(0)));
          }
        // Differences of logits up to 30, in f32: an absolute bound.
        EXPECT_LE((loss.finish() - expected).abs().max().item<double>(), 2e-5)
            << width << " by " << piece;
        const at::Tensor other = (sum.log() + highest - found).masked_fill(targets.lt(0), 0);
        EXPECT_LE((other - expected).abs().max().item<double>(), 2e-5) << width << " by " << piece;
      }
    }
}

// KL and edited loss against softmaxes in f64, with changes from tiny to shattering.
void check_divergences(at::ScalarType type) {
  for (const double cap : {0.0, 5.0})
    for (const double size : {0.01, 20.0})
      for (const std::int64_t width : kWidths) {
        ModelSpec spec;
        spec.final_softcap = cap;
        const at::Tensor clean = noise({4, width}, type, 8), change = noise({4, width}, type, size);
        const auto last = static_cast<std::int32_t>(width - 1);
        const at::Tensor targets = at::tensor({0, last, -1, last / 2}, at::kInt);
        const auto log_p = [&](at::Tensor v) {
          if (cap > 0) v = (v / cap).tanh() * cap;
          return v.log_softmax(1);
        };
        const at::Tensor p = log_p(clean.to(at::kDouble));
        const at::Tensor q = log_p(clean.to(at::kDouble) + change);
        const at::Tensor kl = (p.exp() * (p - q)).sum(1).masked_fill(targets.lt(0), 0);
        const at::Tensor loss = -q.gather(1, targets.clamp_min(0).to(at::kLong).unsqueeze(1))
                                     .squeeze(1)
                                     .masked_fill(targets.lt(0), 0);
        for (const std::int64_t piece : {width, (width + 1) / 2, std::int64_t{16}}) {
          RunningDivergence divergence(targets);
          at::Tensor highest = at::full({4}, -INFINITY), sum = at::zeros({4}), gap = at::zeros({4});
          for (std::int64_t id = 0; id < width; id += piece) {
            const std::int64_t n = std::min(piece, width - id);
            const at::Tensor a = clean.narrow(1, id, n).contiguous();
            const at::Tensor b = change.narrow(1, id, n).contiguous();
            divergence.add(spec, a.narrow(0, 0, 3), b.narrow(0, 0, 3), 0, id);
            divergence.add(spec, a.narrow(0, 3, 1), b.narrow(0, 3, 1), 3, id);
            aten::add_gap(spec, a, a.to(at::kFloat) + b, highest, sum, gap);
          }
          // Differences of logits up to some 100, in f32: half a unit of 2^-17 a few times.
          const std::string what = std::to_string(width) + " by " + std::to_string(piece);
          EXPECT_LE((divergence.kl() - kl).abs().max().item<double>(), 4e-5) << what;
          EXPECT_LE((divergence.edited_loss() - loss).abs().max().item<double>(), 4e-5) << what;
          const at::Tensor expected = (p.exp() * (log_p(clean.to(at::kDouble)) - q)).sum(1);
          const at::Tensor lse_change =
              (cap > 0 ? ((clean.to(at::kDouble) + change) / cap).tanh() * cap
                       : clean.to(at::kDouble) + change)
                  .logsumexp(1) -
              (sum.to(at::kDouble).log() + highest);
          EXPECT_LE((gap / sum + lse_change - expected).abs().max().item<double>(), 4e-5) << what;
        }
      }
}

class Ops : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override { at::manual_seed(1); }
};

// Each on every instruction set.
TEST_P(Ops, NormsWithAndWithoutAddition) {
  testing::on_each_instruction_set([] { check_norms(GetParam()); });
}
TEST_P(Ops, RotationOfPartAndWholeHeads) {
  testing::on_each_instruction_set([] { check_rotation(GetParam()); });
}
TEST_P(Ops, GatesFarOutToo) {
  testing::on_each_instruction_set([] { check_gates(GetParam()); });
}
TEST_P(Ops, LossesWithAndWithoutCapInPieces) {
  testing::on_each_instruction_set([] { check_losses(GetParam()); });
}

TEST_P(Ops, DivergencesOfSmallAndLargeChanges) {
  testing::on_each_instruction_set([] { check_divergences(GetParam()); });
}

INSTANTIATE_TEST_SUITE_P(Types, Ops, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& element) {
                           return element.param == at::kFloat ? "f32" : "bf16";
                         });

}  // namespace
}  // namespace safesail
