// What a cache of what prompts have in common is worth to explaining: the prompts of explain.v2
// about as many features, with windows from a corpus, eight at a time, answered with and without
// it. The answers are cut at a usual length, and are the same.
//   bench_explain MODEL CORPUS [FEATURES]
// Prints a Markdown table.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "formats/json.h"
#include "interpret/prompt.h"
#include "serve/completion.h"

namespace safesail {
namespace {

constexpr std::size_t kAtOnce = 8, kFiring = 30, kSilent = 10, kWindowBytes = 120;
constexpr std::int64_t kAnswerTokens = 160;
constexpr std::uint64_t kRoom = std::uint64_t{2} << 30;

/// Texts of about a window's length.
std::vector<std::string> windows_of(const char* corpus, std::size_t n) {
  std::ifstream lines(corpus);
  std::vector<std::string> windows;
  std::string line;
  while (windows.size() < n && std::getline(lines, line)) {
    std::string text = Json::parse(line).at("text");
    if (text.size() < kWindowBytes) continue;
    text.resize(text.rfind(' ', kWindowBytes));
    windows.push_back(std::move(text));
  }
  if (windows.size() < n) bad_input(corpus, "expected a longer corpus", "give WordNet's");
  return windows;
}

std::vector<CompletionRequest> requests_of(const char* corpus, std::size_t n_features) {
  const Prompt prompt("explain.v2");
  const auto windows = windows_of(corpus, n_features * (kFiring + kSilent));
  std::vector<CompletionRequest> requests;
  for (std::size_t f = 0; f < n_features; ++f) {
    std::vector<std::string> firing, silent;
    for (std::size_t w = 0; w < kFiring + kSilent; ++w) {
      const std::string text = windows[f * (kFiring + kSilent) + w];
      if (w < kFiring)
        firing.push_back(fmt::format(R"({{"level": {}, "text": "<<{}|{}>>{}"}})", 10 - w / 3,
                                     text.substr(0, 8), 10 - w / 3, text.substr(8)));
      else
        silent.push_back(fmt::format(R"({{"near": {}, "text": "{}"}})", w % 2 == 0, text));
    }
    CompletionRequest request;
    request.messages =
        prompt.fill({{"open", "<<"},
                     {"close", ">>"},
                     {"feature", R"({"density": "0.05 % of tokens", "promoted": [" juice"]})"},
                     {"firing", fmt::format("{}", fmt::join(firing, "\n"))},
                     {"silent", fmt::format("{}", fmt::join(silent, "\n"))}},
                    fmt::format("mlp_out.15/topk-k32:{}", f));
    request.max_tokens = kAnswerTokens;
    request.sampling.temperature = 0;
    requests.push_back(std::move(request));
  }
  return requests;
}

struct Outcome {
  double seconds = 0;
  std::atomic<std::size_t> n_prompt = 0, n_known = 0;
  std::vector<std::string> answers;
};

void answer_all(const TextModel& model, const std::vector<CompletionRequest>& requests,
                std::uint64_t room, Outcome& outcome) {
  PrefixCache openings(model.model, room);
  SharedGenerator generator(model.model, openings, kAtOnce);
  outcome.answers.resize(requests.size());
  std::atomic<std::size_t> next = 0;
  const auto begin = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < kAtOnce; ++t)
      threads.emplace_back([&] {
        for (std::size_t i = next++; i < requests.size(); i = next++) {
          const CompletionEnd end = complete(
              model, generator, requests[i], {completion_prompt(model, requests[i])},
              [&](const CompletionPiece& piece) {
                outcome.answers[i] += piece.text;
                return true;
              },
              [] { return true; });
          outcome.n_prompt += end.n_prompt;
          outcome.n_known += end.n_known;
        }
      });
  }
  outcome.seconds = seconds_since(begin);
}

void run(const char* path, const char* corpus, std::size_t n_features) {
  SilentReporter silent;
  const TextModel model = load_text_model(path, {}, silent);
  const std::vector<CompletionRequest> requests = requests_of(corpus, n_features);
  fmt::print("Explaining {} features by {}, {} requests at once.\n\n", n_features,
             fs::path(path).stem().string(), kAtOnce);
  fmt::print("| what prompts have in common is | requests/min | prompt tokens | of them known |\n");
  fmt::print("| --- | --: | --: | --: |\n");
  Outcome without, with;
  answer_all(model, requests, 0, without);
  answer_all(model, requests, kRoom, with);
  for (const Outcome* outcome : {&without, &with})
    fmt::print(
        "| {} | {:.2f} | {} | {:.0f} % |\n", outcome == &with ? "read once" : "read each time",
        60 * static_cast<double>(n_features) / outcome->seconds, outcome->n_prompt.load(),
        100.0 * static_cast<double>(outcome->n_known) / static_cast<double>(outcome->n_prompt));
  std::size_t n_same = 0;
  for (std::size_t i = 0; i < n_features; ++i) n_same += with.answers[i] == without.answers[i];
  fmt::print(
      "\n{} of {} answers are the same (their later tokens are written beside others, by "
      "who came when).\n",
      n_same, n_features);
}

}  // namespace
}  // namespace safesail

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: bench_explain MODEL CORPUS [FEATURES]\n");
    return 2;
  }
  try {
    safesail::run(argv[1], argv[2], argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 12);
  } catch (const safesail::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
