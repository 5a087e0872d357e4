// What features cost a chat: plain generation against the same answer with the features of four
// SAEs, turn by turn in one process. And 32 chats at once: do they end in order, and how fast?
//   bench_diagnose MODEL REPEATS
// Prints one JSON line.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fmt/format.h>
#include <string>
#include <vector>

#include "diagnose/engine.h"
#include "model/generate.h"
#include "timing.h"

namespace safesail {
namespace {

constexpr std::int64_t kNewTokens = 128, kFeatures = 2304, kK = 32, kChats = 32, kShort = 24;

Subject subject_with_four_saes(const std::string& path) {
  SilentReporter silent;
  Subject subject{
      "bench", load_text_model(path, {.dtype = ComputeType::bf16, .device = "cpu"}, silent), {}};
  const std::int64_t d = subject.model.model.spec().d_model;
  for (const int layer : {3, 10, 17, 24}) {
    std::vector<KnownFeature> known;
    for (std::int32_t f = 0; f < kFeatures; ++f) known.push_back({.feature = f, .quantile = 1});
    const Site site{SiteKind::mlp_out, layer};
    subject.saes.emplace_back(to_string(site), site,
                              Sae::random(SaeSpec::topk(d, kFeatures, kK), identity_transform(d),
                                          static_cast<std::uint64_t>(layer)),
                              std::move(known));
  }
  return subject;
}

std::vector<std::unique_ptr<Engine::Ticket>> ask(Engine& engine, const Subject& subject,
                                                 std::int64_t n_new, std::int64_t n) {
  std::vector<EngineRequest> requests;
  for (std::int64_t i = 0; i < n; ++i) {
    EngineRequest request{
        prompt_of_messages(subject.model.tokenizer,
                           {{"user", "Tell me about the history of ships."}}, true),
        {},
        {}};
    request.generation.max_new_tokens = n_new;
    request.generation.stop_at_eos = false;
    requests.push_back(std::move(request));
  }
  return engine.submit(std::move(requests));
}

bool wait(Engine::Ticket& ticket) {
  while (true) {
    const auto event = ticket.next(std::chrono::seconds(60));
    if (event && std::holds_alternative<Ended>(*event)) return true;
    if (event && std::holds_alternative<Failed>(*event)) return false;
  }
}

void run(const std::string& path, int repeats) {
  const Subject subject = subject_with_four_saes(path);
  Engine engine(subject, {.max_waiting = 64, .max_active = 4});
  const std::vector<std::int32_t> ids = ids_of(prompt_of_messages(
      subject.model.tokenizer, {{"user", "Tell me about the history of ships."}}, true));
  std::vector<double> plain, traced, ratio;
  for (int i = 0; i <= repeats; ++i) {
    const double a = seconds([&] {
      generate(subject.model.model, {ids}, {.max_new_tokens = kNewTokens, .stop_at_eos = false});
    });
    const double b = seconds([&] { wait(*ask(engine, subject, kNewTokens, 1).front()); });
    if (i == 0) continue;  // warms up
    plain.push_back(kNewTokens / a);
    traced.push_back(kNewTokens / b);
    ratio.push_back(b / a);
  }
  std::int64_t n_ended = 0;
  const double crowd = seconds([&] {
    for (const auto& ticket : ask(engine, subject, kShort, kChats)) n_ended += wait(*ticket);
  });
  const auto median = [](std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
  };
  fmt::print(
      R"({{"bench": "chat", "plain_tokens_per_s": {:.1f}, "with_features_tokens_per_s": {:.1f}, )"
      R"("time_ratio": {:.3f}, "chats": {}, "ended": {}, "crowd_tokens_per_s": {:.1f}}})"
      "\n",
      median(plain), median(traced), median(ratio), kChats, n_ended,
      static_cast<double>(kChats * kShort) / crowd);
}

}  // namespace
}  // namespace safesail

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "bench_diagnose MODEL REPEATS\n");
    return 2;
  }
  safesail::run(argv[1], std::max(1, std::atoi(argv[2])));
  return 0;
}
