// `safesail explain`: texts for the features of an atlas that have none yet.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>

#include "base/error.h"
#include "base/version.h"
#include "cli/endpoint_options.h"
#include "cli/print.h"
#include "cli/session.h"
#include "formats/json.h"
#include "interpret/language.h"
#include "run/explain.h"
#include "run/tag.h"

namespace safesail {
namespace {

struct ExplainOptions {
  std::string run, sae;
  EndpointOptions endpoint;
  LlmExplainerSettings llm;
  std::size_t n_first = 0;
  bool tag = false, as_json = false;
};

Json json_of(const ExplainCounts& counts) {
  return {{"explained", counts.n_ok},
          {"from_fewer_excerpts", counts.n_from_fewer},
          {"unparsable", counts.n_unparsable},
          {"refused", counts.n_refused},
          {"copied", counts.n_copied},
          {"failed", counts.n_failed},
          {"reason", counts.reason}};
}

Json json_of(const TagCounts& counts) {
  return {{"tagged", counts.n_tagged},           {"without_risk", counts.n_without_risk},
          {"not_answered", counts.n_unanswered}, {"copied", counts.n_copied},
          {"failed", counts.n_failed},           {"reason", counts.reason}};
}

/// ", the last with: HTTP 500: no".
std::string with_reason(const std::string& reason) {
  return reason.empty() ? "" : ", the last with: " + reason;
}

void print_counts(const ExplainCounts& counts) {
  print("{} explained", counts.n_ok);
  if (counts.n_from_fewer > 0)
    print(", {} of them from fewer excerpts: the model does not read so much", counts.n_from_fewer);
  if (counts.n_refused + counts.n_unparsable + counts.n_copied + counts.n_failed > 0)
    print("; {} refused, {} that could not be read, {} copied from the prompt, {} failed{}",
          counts.n_refused, counts.n_unparsable, counts.n_copied, counts.n_failed,
          with_reason(counts.reason));
  print("\n");
}

void print_counts(const TagCounts& counts) {
  print("{} tagged, {} without a safety risk, {} not answered ({} copied, {} failed{})\n",
        counts.n_tagged, counts.n_without_risk, counts.n_unanswered, counts.n_copied,
        counts.n_failed, with_reason(counts.reason));
}

void explain_offline(const ExplainOptions& options, Atlas& atlas, Session& session) {
  if (options.tag)
    bad_input(
        "--tag", "expected a language model that files the features",
        "give --endpoint or --local; without one, the pairs that selected a feature are its tags");
  if (options.endpoint.dry_run)
    bad_input("--dry-run", "expected a language model, without which nothing is paid",
              "give --endpoint or --local");
  ExplainCounts counts;
  explain_features(lexical_explainer(), options.sae, options.n_first, atlas, *session.reporter,
                   session.stop, counts);
  options.as_json ? print_json(json_of(counts), 2) : print_counts(counts);
}

void explain_by_endpoint(const ExplainOptions& options, Atlas& atlas, Session& session) {
  LlmExplainerSettings settings = options.llm;
  if (!settings.second_language.empty())
    settings.second_language = find_language(settings.second_language).name;
  EndpointClient endpoint(options.endpoint, atlas, session);
  LlmExplainer llm(endpoint.client(), settings);
  LlmTagger tagger(endpoint.client());
  const Explainer explainer = llm_explainer(llm, settings, endpoint.settings());
  const std::vector<std::int64_t> lacking =
      features_to_explain(explainer, options.sae, options.n_first, atlas);
  CostEstimate estimate = estimate_explaining(llm, lacking, atlas);
  if (options.tag) estimate += estimate_tagging(tagger, explainer.key, options.sae, lacking, atlas);
  endpoint.announce(estimate);
  if (options.endpoint.dry_run) {
    if (options.as_json) print_json({{"estimate", endpoint.json_of(estimate)}}, 2);
    return;
  }
  // The client reports its requests; a second line of progress would only flicker.
  SilentReporter silent;
  ExplainCounts counts;
  std::exception_ptr ended = what_ended([&] {
    explain_features(explainer, options.sae, options.n_first, atlas, silent, session.stop, counts);
  });
  Json json = json_of(counts);
  if (!options.as_json) print_counts(counts);
  if (options.tag && !ended) {
    TagCounts tagged;
    ended = what_ended([&] {
      tag_features(tagger, explainer.key, options.sae, atlas, silent, session.stop, tagged);
    });
    json["tags"] = json_of(tagged);
    if (!options.as_json) print_counts(tagged);
  }
  json["spending"] = endpoint.spending_json();
  if (options.as_json)
    print_json(json, 2);
  else
    print("{}", endpoint.spending());
  if (ended) std::rethrow_exception(ended);
  if (counts.only_failed())
    failed("explain",
           fmt::format("none of {} was answered{}", counts.n_failed, with_reason(counts.reason)),
           "see that the endpoint works, then run the same command again");
}

void run_explain(const ExplainOptions& options, Session& session) {
  Atlas atlas(atlas_path(options.run), Atlas::Mode::write);
  atlas.begin_run({.version = kVersion, .seed = options.endpoint.settings.seed, .config = {}});
  if (options.endpoint.given())
    explain_by_endpoint(options, atlas, session);
  else
    explain_offline(options, atlas, session);
}

}  // namespace

void add_explain_command(CLI::App& app, Session& session) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* command = app.add_subcommand(
      "explain", "Explain the features of an atlas: offline, or by a language model");
  command->add_option("-r,--run", options->run, "Run folder, or an atlas.sqlite")->required();
  command->add_option("--sae", options->sae, "Only of this SAE, as in mlp_out.15/topk-k32");
  command->add_option("-n,--first", options->n_first,
                      "Only of the first so many features, explained ones with them; 0: of all");
  add_endpoint_options(*command, options->endpoint);
  command->add_flag("--tag", options->tag,
                    "File the explained features under the 4 domains and 17 subclasses");
  command->add_option("--second-language", options->llm.second_language,
                      "Ask for the text in this language too: its English name or its code");
  command->add_flag("--json", options->as_json, "Print JSON");
  command->add_option("--seed", options->endpoint.settings.seed, "Of the excerpts and the endpoint")
      ->capture_default_str();
  command->footer(
      "Without --endpoint and --local the lexical baseline explains. Run it again to go on where "
      "it stopped.\n"
      "Examples:\n"
      "  safesail explain --run runs/demo\n"
      "  safesail explain --run runs/demo --local model.gguf --budget-seconds 3600\n"
      "  safesail explain --run runs/demo --endpoint http://127.0.0.1:8080/v1 --llm my-model\n"
      "  safesail explain --run runs/demo --endpoint https://api.example.com/v1 --llm big \\\n"
      "    --key-env MY_KEY --prices prices.json --budget 2.50 --second-language Chinese");
  command->callback(
      [=, &session] { session.action = [=, &session] { run_explain(*options, session); }; });
}

}  // namespace safesail
