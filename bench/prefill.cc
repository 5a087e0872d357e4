// Prefill and decode speed of a real language model, as one JSON line a case.
//
//   bench_prefill MODEL [bf16|f32] [threads] [repeats]
//
// Cases: packed prefill of 8 x 128, 4 x 512 and 204 x 20 random tokens, with all logits and with
// none; decoding one sequence after 16 tokens. Medians and the fastest run; the first run of each
// is not counted. Tokens per CPU second are a measure too on a busy machine, with one thread.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "base/memory.h"
#include "base/rng.h"
#include "model/kv_cache.h"
#include "model/language_model.h"

namespace {

using namespace safesail;
using Clock = std::chrono::steady_clock;

struct Seconds {
  double wall, cpu;
};

Seconds seconds_of(const std::function<void()>& body) {
  const auto start = Clock::now();
  const std::clock_t cpu_start = std::clock();
  body();
  return {std::chrono::duration<double>(Clock::now() - start).count(),
          static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC};
}

void report(const std::string& name, std::int64_t tokens, int repeats,
            const std::function<void()>& body) {
  body();
  std::vector<double> wall, cpu;
  for (int i = 0; i < repeats; ++i) {
    const Seconds seconds = seconds_of(body);
    wall.push_back(seconds.wall);
    cpu.push_back(seconds.cpu);
  }
  std::sort(wall.begin(), wall.end());
  std::sort(cpu.begin(), cpu.end());
  const auto rate = [&](double s) { return static_cast<double>(tokens) / s; };
  std::printf(
      "{\"case\": \"%s\", \"tokens\": %lld, \"median_tokens_per_s\": %.0f, "
      "\"best_tokens_per_s\": %.0f, \"tokens_per_cpu_s\": %.0f}\n",
      name.c_str(), static_cast<long long>(tokens), rate(wall[wall.size() / 2]), rate(wall.front()),
      rate(cpu[cpu.size() / 2]));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: bench_prefill MODEL [bf16|f32] [threads] [repeats]\n");
    return 2;
  }
  const bool f32 = argc > 2 && std::string(argv[2]) == "f32";
  if (argc > 3) at::set_num_threads(std::atoi(argv[3]));
  const int repeats = argc > 4 ? std::atoi(argv[4]) : 7;
  SilentReporter silent;
  const std::uint64_t base_bytes = peak_memory_bytes();
  const auto start = Clock::now();
  const LanguageModel model =
      LanguageModel::load(argv[1], {f32 ? ComputeType::f32 : ComputeType::bf16, "cpu"}, silent);
  std::printf(
      "{\"case\": \"load\", \"seconds\": %.3f, \"base_bytes\": %llu, \"weight_bytes\": %llu, "
      "\"peak_bytes\": %llu}\n",
      std::chrono::duration<double>(Clock::now() - start).count(),
      static_cast<unsigned long long>(base_bytes),
      static_cast<unsigned long long>(model.weight_bytes()),
      static_cast<unsigned long long>(peak_memory_bytes()));

  Rng rng(1, "bench");
  const auto vocab = static_cast<std::uint64_t>(model.spec().vocab_size);
  for (const auto& [count, length] : {std::pair{8, 128}, {4, 512}, {204, 20}}) {
    std::vector<std::int32_t> ids, starts{0};
    for (int s = 0; s < count; ++s) {
      for (int i = 0; i < length; ++i) ids.push_back(static_cast<std::int32_t>(rng.below(vocab)));
      starts.push_back(static_cast<std::int32_t>(ids.size()));
    }
    ForwardRequest request{.ids = ids, .starts = starts};
    const std::string name = std::to_string(count) + " x " + std::to_string(length);
    if (count * length <= 2048) {
      request.logits = ForwardRequest::Logits::all;
      report(name + ", all logits", count * length, repeats, [&] { model.forward(request); });
    }
    request.logits = ForwardRequest::Logits::last_of_each;
    report(name + ", last logits", count * length, repeats, [&] { model.forward(request); });
  }

  constexpr int kSteps = 32;
  std::vector<std::int32_t> prompt(16, 7);
  const std::vector<std::int32_t> prompt_starts{0, 16}, one_start{0, 1};
  report("decode, batch 1", kSteps, std::max(1, repeats / 2), [&] {
    KvCache cache(model, 1, 64);
    ForwardRequest request{.ids = prompt, .starts = prompt_starts};
    request.logits = ForwardRequest::Logits::last_of_each;
    request.cache = &cache;
    ForwardResult result = model.forward(request);
    for (int i = 0; i < kSteps - 1; ++i) {
      const auto next = static_cast<std::int32_t>(result.logits->argmax(-1).item<std::int64_t>());
      const std::vector<std::int32_t> id{next};
      request.ids = id;
      request.starts = one_start;
      result = model.forward(request);
    }
  });
  return 0;
}
