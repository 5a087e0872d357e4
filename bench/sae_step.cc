// Tokens per second of the SAE training step by phase, beside the plain dense step.
//   sae_step [--steps N] [--dense] [--arch NAME|all]... [SHAPE...]
//                                                 SHAPE: d,F,k,B, e.g. 2048,20480,200,4096
// Random unit-norm decoder, normal tokens: every feature fires about equally often, which is the
// worst case for the caches. The median of N steps is printed (default 5, after one warm-up), and
// the memory that the trainer took at its highest, as a multiple of weights and Adam's moments.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fmt/format.h>
#include <fstream>
#include <malloc.h>
#include <string>
#include <string_view>
#include <vector>

#include "base/memory.h"
#include "base/rng.h"
#include "sae/architecture.h"
#include "sae/trainer.h"

namespace {

using namespace safesail;

struct Shape {
  std::int64_t d, n_features, k, batch;
};

Shape parse(std::string_view text) {
  std::int64_t numbers[4] = {};
  for (std::int64_t& number : numbers) {
    const auto comma = std::min(text.find(','), text.size());
    std::from_chars(text.data(), text.data() + comma, number);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return {numbers[0], numbers[1], numbers[2], numbers[3]};
}

at::Tensor normal_tokens(std::int64_t n, std::int64_t d) {
  at::Tensor z = at::empty({n, d});
  float* out = z.mutable_data_ptr<float>();
  at::parallel_for(0, n, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      Rng rng(std::uint64_t(t), "bench tokens");
      for (std::int64_t i = 0; i < d; ++i) out[t * d + i] = float(rng.normal());
    }
  });
  return z.to(at::kBFloat16);
}

// Gives back what earlier cases left unused and forgets how high the memory was; what is left.
std::uint64_t restart_peak() {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << 5;
  return resident_memory_bytes();
}

void bench(const Shape& shape, std::string_view architecture, const std::string& name,
           const TrainerOptions& options, int n_steps) {
  const SaeSpec spec = trained_spec(architecture, shape.d, shape.n_features, shape.k);
  const at::Tensor z = normal_tokens(shape.batch, shape.d);
  const std::uint64_t before = restart_peak();
  SaeTrainer trainer(Sae::random(spec, identity_transform(shape.d), 1), options);
  trainer.step(z, {.lr = 1e-4});
  std::vector<StepSeconds> runs;
  for (int i = 0; i < n_steps; ++i) runs.push_back(trainer.step(z, {.lr = 1e-4}).seconds);
  std::ranges::sort(runs, {}, &StepSeconds::total);
  const StepSeconds& s = runs[runs.size() / 2];
  const auto share = [&](double seconds) { return 100 * seconds / s.total; };
  fmt::print(
      "{:<10} {:<5} {:>5} {:>6} {:>4} {:>5} {:>9.0f} {:>8.1f} {:>8.1f} {:>7.0f}% {:>6.0f}% "
      "{:>6.0f}% {:>6.0f}% {:>7.0f}% {:>5.0f}% {:>7.2f}\n",
      architecture, name, shape.d, shape.n_features, shape.k, shape.batch,
      double(shape.batch) / s.total, 1e3 * s.total, 1e3 * runs.front().total, share(s.prepare),
      share(s.encode), share(s.refine), share(s.decode), share(s.backward), share(s.adam),
      double(peak_memory_bytes() - before) /
          double(3 * sizeof(float) * 2 * std::uint64_t(shape.d * shape.n_features)));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<Shape> shapes;
  int n_steps = 5;
  bool dense = false;
  std::vector<std::string_view> architectures;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--dense") {
      dense = true;
    } else if (argument == "--arch" && i + 1 < argc) {
      architectures.push_back(argv[++i]);
    } else if (argument == "--steps" && i + 1 < argc) {
      n_steps = std::max(1, std::atoi(argv[++i]));
    } else {
      shapes.push_back(parse(argument));
    }
  }
  if (shapes.empty()) {
    shapes = {{576, 4608, 32, 2048}, {576, 9216, 32, 4096}, {2048, 20480, 200, 4096}};
  }
  fmt::print("{} threads, bf16 products {}\n", at::get_num_threads(),
             fastest_selection() == Selection::bf16 ? "native" : "emulated");
  fmt::print(
      "{:<10} {:<5} {:>5} {:>6} {:>4} {:>5} {:>9} {:>8} {:>8} {:>8} {:>7} {:>7} {:>7} {:>8} {:>6} "
      "{:>7}\n",
      "arch", "step", "d", "F", "k", "B", "tokens/s", "ms", "best ms", "prepare", "encode",
      "refine", "decode", "backward", "adam", "memory");
  if (architectures.empty()) architectures.emplace_back("topk");
  if (architectures.front() == "all") {
    architectures.clear();
    for (const Architecture* architecture : all_architectures())
      architectures.push_back(architecture->name());
  }
  for (const Shape& shape : shapes) {
    for (const std::string_view name : architectures) {
      bench(shape, name, "bf16", {.selection = Selection::bf16}, n_steps);
      bench(shape, name, "f32", {.selection = Selection::f32}, n_steps);
      if (dense)
        bench(shape, name, "dense", {.selection = Selection::f32, .device = "aten"}, n_steps);
    }
  }
}
