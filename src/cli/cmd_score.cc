// `safesail score`: how well the explanations of an atlas predict their features on text that no
// explainer has seen.
#include <CLI/CLI.hpp>
#include <cmath>
#include <fmt/format.h>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/version.h"
#include "cli/endpoint_options.h"
#include "cli/number_checks.h"
#include "cli/print.h"
#include "cli/session.h"
#include "formats/json.h"
#include "interpret/lexical_simulator.h"
#include "interpret/llm_simulator.h"
#include "interpret/verdict_elicitation.h"
#include "run/compare.h"
#include "run/score.h"

namespace safesail {
namespace {

struct ScoreOptionsOfCommand {
  std::string run;
  std::vector<std::string> scorers = {"segment"};
  ScoreConfig score;
  std::optional<std::size_t> n_floors;
  std::optional<int> batch;
  std::string asking;  ///< empty: as serves best
  EndpointOptions endpoint;
  bool compare = false, as_json = false;
};

Json json_of(const ScorerOutcome& outcome) {
  return {{"scorer", to_string(outcome.scorer)},
          {"scored", outcome.n_scored},
          {"without", outcome.n_without},
          {"unanswered", outcome.n_unanswered},
          {"mean", std::isfinite(outcome.mean) ? Json(outcome.mean) : Json()},
          {"with_floor", outcome.n_with_floor},
          {"above_floor", outcome.n_above_floor},
          {"with_baseline", outcome.n_with_baseline},
          {"above_baseline", outcome.n_above_baseline},
          {"reason", outcome.reason}};
}

void print_outcome(const ScorerOutcome& outcome) {
  print("{}: {} scores; {} explanations with too few windows or answers{}\n",
        to_string(outcome.scorer), outcome.n_scored, outcome.n_without,
        outcome.n_without > 0 ? " (asked about anew with --again)" : "");
  if (std::isfinite(outcome.mean)) print("  mean {:.3f}", outcome.mean);
  if (outcome.n_with_floor > 0)
    print("; {} of {} above their floor", outcome.n_above_floor, outcome.n_with_floor);
  if (outcome.n_with_baseline > 0)
    print("; {} of {} above the lexical baseline", outcome.n_above_baseline,
          outcome.n_with_baseline);
  if (std::isfinite(outcome.mean)) print("\n");
  if (!outcome.reason.empty()) print("  {}\n", outcome.reason);
}

/// Scores what lacks a score, says what came of it, and compares where that is wanted.
void score_by(Simulator& simulator, const ScoreConfig& config, const ScoreOptionsOfCommand& options,
              EndpointClient* endpoint, Atlas& atlas, Session& session) {
  // The client reports its requests; a second line of progress would only flicker.
  SilentReporter silent;
  Reporter& reporter = endpoint == nullptr ? *session.reporter : silent;
  std::vector<ScorerOutcome> outcomes;
  const std::exception_ptr ended = what_ended(
      [&] { score_explanations(simulator, config, atlas, reporter, session.stop, outcomes); });
  Json json{{"scorers", Json::array()}};
  for (const ScorerOutcome& outcome : outcomes) json["scorers"].push_back(json_of(outcome));
  if (endpoint != nullptr) json["spending"] = endpoint->spending_json();
  if (!options.as_json) {
    if (endpoint != nullptr) print("{}", endpoint->spending());
    for (const ScorerOutcome& outcome : outcomes) print_outcome(outcome);
  }
  if (options.compare && !ended) {
    const ScorerComparison comparison =
        compare_scores(simulator, config, endpoint == nullptr ? "" : endpoint->currency(), atlas);
    json["comparison"] = to_json(comparison);
    if (!options.as_json) print("{}\n", comparison_table(comparison));
  }
  if (options.as_json) print_json(json, 2);
  if (ended) std::rethrow_exception(ended);
  for (const ScorerOutcome& outcome : outcomes)
    if (outcome.n_unanswered > 0 && outcome.n_unanswered == outcome.n_without &&
        outcome.n_scored == 0)
      failed("score", fmt::format("no question was answered: {}", outcome.reason),
             "see that the endpoint works, then run the same command again with --again");
}

/// Verdicts are read at little cost by an engine of our own, which keeps what it has read; of any
/// other endpoint they take several times the tokens of lists. Who says how many windows a request
/// means lists.
LlmSimulator simulator_for(const ScoreOptionsOfCommand& options, ChatClient& client) {
  const Asking asking = !options.asking.empty() ? parse_asking(options.asking)
                        : client.settings().answer_forms && !options.batch ? Asking::verdicts
                                                                           : Asking::lists;
  if (asking == Asking::lists)
    return LlmSimulator(client, options.batch.value_or(kQuestionsPerRequest));
  if (options.batch)
    bad_input("--batch", "verdicts are asked for one a request",
              "leave --batch out, or --ask lists");
  return {client, std::make_unique<const VerdictElicitation>()};
}

void run_score(const ScoreOptionsOfCommand& options, Session& session) {
  ScoreConfig config = options.score;
  config.scorers.clear();
  for (const std::string& scorer : options.scorers) config.scorers.push_back(parse_scorer(scorer));
  config.options.seed = config.questions.seed;
  // What costs nothing may be asked more.
  config.n_floors = options.n_floors.value_or(options.endpoint.given() ? 1 : config.n_floors);
  Atlas atlas(atlas_path(options.run), Atlas::Mode::write);
  atlas.begin_run({.version = kVersion, .seed = config.options.seed, .config = {}});
  if (!options.endpoint.given()) {
    if (options.endpoint.dry_run)
      bad_input("--dry-run", "expected a language model, without which nothing is paid",
                "give --endpoint or --local");
    LexicalSimulator simulator;
    score_by(simulator, config, options, nullptr, atlas, session);
    return;
  }
  EndpointOptions endpoint_options = options.endpoint;
  endpoint_options.settings.seed = config.options.seed;
  EndpointClient endpoint(endpoint_options, atlas, session);
  LlmSimulator simulator = simulator_for(options, endpoint.client());
  const CostEstimate estimate = estimate_scoring(simulator, config, atlas);
  endpoint.announce(estimate);
  if (!endpoint_options.dry_run)
    score_by(simulator, config, options, &endpoint, atlas, session);
  else if (options.as_json)
    print_json(Json{{"estimate", endpoint.json_of(estimate)}}, 2);
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
  command->add_option("-n,--first", options->score.n_first,
                      "Only of the first so many explanations, scored ones with them; 0: of all");
  command
      ->add_option("--windows", options->score.questions.max_windows,
                   "Windows of each side, firing and silent")
      ->check(CLI::Range(options->score.questions.min_windows, std::size_t{1} << 20))
      ->capture_default_str();
  command
      ->add_option(
          "--ask", options->asking,
          "How an endpoint is asked: by verdicts (one text a request, Yes against No by "
          "their probabilities) or by lists (several windows a request, numbers in JSON); "
          "unset: verdicts of --local and --answer-forms, else lists, which cost less. For "
          "models of up to 8B: verdicts, where the endpoint gives probabilities")
      ->check(CLI::IsMember({"verdicts", "lists"}));
  command
      ->add_option("--batch", options->batch,
                   "Windows a request to the endpoint, of any scorer asked by lists: 6 unless set")
      ->check(CLI::Range(1, 100));
  command
      ->add_option("--floors", options->n_floors,
                   "Other explanations that the floor is made of, each asked about as the own one "
                   "is: 3 unless set, of an endpoint 1")
      ->check(CLI::Range(0, 100));
  command->add_flag(
      "--again", options->score.again,
      "Also what was scored before with failed answers, or too few windows or answers");
  command->add_flag("--compare", options->compare,
                    "End with how far the scorers agree over the features, and what each cost");
  command->add_flag("--json", options->as_json, "Print JSON");
  add_endpoint_options(*command, options->endpoint);
  command->add_option("--seed", options->score.questions.seed, "Of the windows and the intervals")
      ->capture_default_str();
  command->footer(
      "Without --endpoint and --local the lexical baseline simulates. Run it again to go on where "
      "it stopped.\n"
      "Examples:\n"
      "  safesail score --run runs/demo\n"
      "  safesail score --run runs/demo --local model.gguf --scorer detection\n"
      "  safesail score --run runs/demo --scorer segment detection --endpoint "
      "http://127.0.0.1:8080/v1 --llm my-model\n"
      "  safesail score --run runs/demo --scorer token segment detection fuzzing --compare");
  command->callback(
      [=, &session] { session.action = [=, &session] { run_score(*options, session); }; });
}

}  // namespace safesail
