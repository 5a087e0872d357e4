// Runs what each line of stdin names, once, and answers with the seconds it took: our side of
// `make bench-peers`, where the peers' sides (scripts/peers/*.py) speak the same way, so that runs
// of both can alternate. State is kept between lines of the same case.
//
//   bench_on_request [MODEL]
//     prefill COUNT LENGTH all|last      logits of every token, or of the last of each sequence
//     decode STEPS                       one sequence after 16 tokens, greedy
//     step ARCH D F K B bf16|f32         one SAE training step; the products that select features
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <chrono>
#include <cstdio>
#include <fmt/format.h>
#include <functional>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "model/kv_cache.h"
#include "model/language_model.h"
#include "sae/architecture.h"
#include "sae/trainer.h"

namespace {

using namespace safesail;
using Logits = ForwardRequest::Logits;

double seconds_of(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The model is loaded by the first line that asks for it.
class Runner {
 public:
  explicit Runner(std::string path) : path_(std::move(path)) {}

  double run(const std::string& line) {
    std::istringstream words(line);
    std::string verb, architecture, mode;
    std::int64_t a = 0, b = 0;
    words >> verb;
    if (verb == "step") words >> architecture;
    words >> a;
    if (verb == "prefill" && words >> b >> mode)
      return prefill(a, b, mode == "all" ? Logits::all : Logits::last_of_each);
    if (verb == "decode" && a > 0) return decode(a);
    std::int64_t k = 0, batch = 0;
    if (verb == "step" && words >> b >> k >> batch >> mode)
      return step(trained_spec(architecture, a, b, k), batch,
                  mode == "bf16" ? Selection::bf16 : Selection::f32);
    bad_input("stdin", fmt::format("expected a case, got '{}'", line), "see bench/on_request.cc");
  }

 private:
  const LanguageModel& model() {
    if (!model_) {
      SilentReporter silent;
      model_.emplace(LanguageModel::load(path_, {ComputeType::bf16, "cpu"}, silent));
    }
    return *model_;
  }

  double prefill(std::int64_t count, std::int64_t length, Logits logits) {
    Rng rng(1, "bench");
    const auto vocab = static_cast<std::uint64_t>(model().spec().vocab_size);
    std::vector<std::int32_t> ids, starts{0};
    for (std::int64_t s = 0; s < count; ++s) {
      for (std::int64_t i = 0; i < length; ++i)
        ids.push_back(static_cast<std::int32_t>(rng.below(vocab)));
      starts.push_back(static_cast<std::int32_t>(ids.size()));
    }
    ForwardRequest request{.ids = ids, .starts = starts};
    request.logits = logits;
    return seconds_of([&] { model().forward(request); });
  }

  double decode(std::int64_t n_steps) {
    KvCache cache(model(), 1, 16 + n_steps);
    const std::vector<std::int32_t> prompt(16, 7), prompt_starts{0, 16}, one_start{0, 1};
    ForwardRequest request{.ids = prompt, .starts = prompt_starts};
    request.logits = Logits::last_of_each;
    request.cache = &cache;
    ForwardResult result = model().forward(request);
    return seconds_of([&] {
      for (std::int64_t i = 0; i < n_steps; ++i) {
        const std::vector<std::int32_t> id{
            static_cast<std::int32_t>(result.logits->argmax(-1).item<std::int64_t>())};
        request.ids = id;
        request.starts = one_start;
        result = model().forward(request);
      }
    });
  }

  double step(const SaeSpec& spec, std::int64_t batch, Selection selection) {
    if (!trainer_ || trainer_->sae().spec() != spec || selection != selection_) {
      trainer_.reset();  // the old one's memory first
      trainer_.emplace(Sae::random(spec, identity_transform(spec.d_in), 1),
                       TrainerOptions{.selection = selection, .clip_norm = 1});
      selection_ = selection;
    }
    if (!tokens_.defined() || tokens_.size(0) != batch || tokens_.size(1) != spec.d_in)
      tokens_ = at::randn({batch, spec.d_in});
    return seconds_of([&] { trainer_->step(tokens_, {.lr = 1e-4}); });
  }

  std::string path_;
  std::optional<LanguageModel> model_;
  std::optional<SaeTrainer> trainer_;
  Selection selection_{};
  at::Tensor tokens_;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    Runner runner(argc > 1 ? argv[1] : "");
    for (std::string line; std::getline(std::cin, line);) {
      fmt::print("{:.6f}\n", runner.run(line));
      std::fflush(stdout);
    }
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
