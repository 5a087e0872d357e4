// What a form costs an answer: as many tokens with it and without it, turn by turn in one process.
//   bench_constraint MODEL REPEATS
// Prints a Markdown table: a row a form. The answers are drawn at temperature 1.
#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "interpret/answer_schema.h"
#include "model/generator.h"
#include "model/text_model.h"
#include "text/chat.h"
#include "timing.h"

namespace safesail {
namespace {

using Kind = ConstraintSource::Kind;

constexpr std::int64_t kMaxTokens = 200;

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

/// The new tokens; the pass over the prompt is part of it.
std::vector<std::int32_t> answer(const LanguageModel& model,
                                 const std::vector<std::int32_t>& prompt, std::int64_t most,
                                 std::uint64_t seed, std::shared_ptr<Constraint> constraint) {
  Generator generator(model);
  generator.add(prompt, {.max_new_tokens = most,
                         .sampling = {.temperature = 1, .seed = seed},
                         .stop_at_eos = false,
                         .constraint = std::move(constraint)});
  std::vector<std::int32_t> ids;
  while (!generator.empty()) {
    const auto token = generator.step().sequences[0].token;
    if (token) ids.push_back(*token);
  }
  return ids;
}

void run(const std::string& path, int repeats) {
  SilentReporter silent;
  const TextModel model =
      load_text_model(path, {.dtype = ComputeType::bf16, .device = "cpu"}, silent);
  std::optional<ConstraintVocabulary> vocabulary;
  const double made = seconds([&] { vocabulary.emplace(model.tokenizer, model.model.spec().eos); });
  const auto prompt =
      model.tokenizer
          .encode(
              render_chat(model.tokenizer, {{"user", "Tell me about the history of ships."}}, true),
              false)
          .ids;
  const std::vector<std::size_t> n_units(6, 32);
  const std::vector<std::pair<const char*, ConstraintSource>> forms = {
      {"any JSON object", {Kind::json_schema, R"({"type": "object"})"}},
      {"an explanation", {Kind::json_schema, explanation_schema()}},
      {"192 levels of tokens", {Kind::json_schema, values_schema(n_units, 9)}},
      {"a regular expression", {Kind::regex, "([A-Z][a-z ,]{20,200}\\.\\n){50}"}}};
  fmt::print(
      "| form ({} tokens; their trie is made in {:.0f} ms) | tokens | made in ms | µs a token | "
      "the longest | time with it / without |\n| --- | --: | --: | --: | --: | --: |\n",
      model.tokenizer.vocab_size(), 1e3 * made);
  for (const auto& [name, source] : forms) {
    std::vector<double> building, ratio, steps;
    for (int i = 0; i <= repeats; ++i) {
      const auto seed = static_cast<std::uint64_t>(i);
      std::shared_ptr<Constraint> constraint;
      const auto build = [&] {
        constraint = std::make_shared<Constraint>(*vocabulary, source, "bench");
      };
      const double built = seconds(build);
      std::vector<std::int32_t> ids;
      const double with =
          seconds([&] { ids = answer(model.model, prompt, kMaxTokens, seed, constraint); });
      const double without =
          seconds([&] { answer(model.model, prompt, std::ssize(ids), seed, nullptr); });
      if (i == 0) continue;  // warms up
      building.push_back(1e3 * built);
      ratio.push_back((built + with) / without);
      build();
      for (const std::int32_t id : ids)
        steps.push_back(1e6 * seconds([&] {
                          constraint->allowed();
                          constraint->take(id);
                        }));
    }
    fmt::print("| {} | {} | {:.1f} | {:.0f} | {:.0f} | {:.3f} |\n", name, steps.size(),
               median(building), std::reduce(steps.begin(), steps.end()) / double(steps.size()),
               std::ranges::max(steps), median(ratio));
  }
}

}  // namespace
}  // namespace safesail

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "bench_constraint MODEL REPEATS\n");
    return 2;
  }
  safesail::run(argv[1], std::max(1, std::atoi(argv[2])));
  return 0;
}
