// `safesail score`: how well the explanations of an atlas predict their features on text that no
// explainer has seen.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>

#include "base/error.h"
#include "base/version.h"
#include "cli/endpoint_options.h"
#include "cli/number_checks.h"
#include "cli/session.h"
#include "interpret/lexical_simulator.h"
#include "interpret/llm_simulator.h"
#include "run/compare.h"
#include "run/score.h"

namespace safesail {
namespace {

struct ScoreOptionsOfCommand {
  std::string run;
  std::vector<std::string> scorers = {"segment"};
  ScoreConfig score;
  EndpointOptions endpoint;
  bool compare = false, as_json = false;
};

void run_score(const ScoreOptionsOfCommand& options, Session& session) {
  ScoreConfig config = options.score;
  config.scorers.clear();
  for (const std::string& scorer : options.scorers) config.scorers.push_back(parse_scorer(scorer));
  config.options.seed = config.questions.seed;
  Atlas atlas(atlas_path(options.run), Atlas::Mode::write);
  atlas.begin_run({.version = kVersion, .seed = config.options.seed, .config = {}});
  ScoreCounts counts;
  std::string simulator_name = "lexical", currency;
  if (!options.endpoint.given()) {
    LexicalSimulator simulator;
    counts = score_explanations(simulator, config, atlas, *session.reporter, session.stop);
  } else {
    EndpointOptions endpoint_options = options.endpoint;
    endpoint_options.settings.seed = config.options.seed;
    EndpointClient endpoint(endpoint_options, atlas, session);
    LlmSimulator simulator(endpoint.client());
    endpoint.announce(estimate_scoring(simulator, config, atlas));
    // The client reports its requests; a second line of progress would only flicker.
    SilentReporter silent;
    counts = score_explanations(simulator, config, atlas, silent, session.stop);
    simulator_name = simulator.name();
    currency = endpoint.currency();
    if (!options.as_json) fmt::print("{}", endpoint.spending());
  }
  if (!options.as_json)
    fmt::print("{} scores; {} explanations with too few windows or answers\n", counts.n_scored,
               counts.n_without);
  if (!options.compare) return;
  const ScorerComparison comparison =
      compare_scores(simulator_name, config.which, currency, atlas, config.options.seed);
  fmt::print("{}\n", options.as_json ? to_json(comparison) : comparison_table(comparison));
}

}  // namespace

void add_score_command(CLI::App& app, Session& session) {
  auto options = std::make_shared<ScoreOptionsOfCommand>();
  CLI::App* command = app.add_subcommand(
      "score", "Score the explanations of an atlas on windows that no explainer has seen");
  command->add_option("-r,--run", options->run, "Run folder, or an atlas.sqlite")->required();
  command->add_option("--scorer", options->scorers, "segment, token, detection or fuzzing; several")
      ->capture_default_str();
  command->add_option("--explainer", options->score.which.explainer,
                      "Only explanations by this one: lexical or llm");
  command
      ->add_option("--language", options->score.which.language,
                   "Only explanations in this language; the scores of translations say more of the "
                   "simulator than of the feature")
      ->capture_default_str();
  command->add_option("--sae", options->score.which.sae,
                      "Only of this SAE, as in mlp_out.15/topk-k32");
  command->add_option("-n,--most", options->score.n_most, "At most so many of each scorer; 0: all");
  command
      ->add_option("--windows", options->score.questions.max_windows,
                   "Windows of each side, firing and silent")
      ->check(above_zero())
      ->capture_default_str();
  command->add_flag("--compare", options->compare,
                    "End with how far the scorers agree over the features, and what each cost");
  command->add_flag("--json", options->as_json, "Print the comparison as JSON");
  add_endpoint_options(*command, options->endpoint);
  command->add_option("--seed", options->score.questions.seed, "Of the windows and the intervals")
      ->capture_default_str();
  command->footer(
      "Without --endpoint the lexical baseline simulates. Run it again to go on where it stopped.\n"
      "Examples:\n"
      "  safesail score --run runs/demo\n"
      "  safesail score --run runs/demo --scorer segment detection --endpoint "
      "http://127.0.0.1:8080/v1 --llm my-model\n"
      "  safesail score --run runs/demo --scorer token segment detection fuzzing --compare");
  command->callback(
      [=, &session] { session.action = [=, &session] { run_score(*options, session); }; });
}

}  // namespace safesail
