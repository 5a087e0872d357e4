// `safesail explain`: texts for the features of an atlas that have none yet.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>

#include "base/error.h"
#include "base/version.h"
#include "cli/endpoint_options.h"
#include "cli/session.h"
#include "run/explain.h"
#include "run/tag.h"

namespace safesail {
namespace {

struct ExplainOptions {
  std::string run, sae;
  EndpointOptions endpoint;
  LlmExplainerSettings llm;
  std::size_t n_most = 0;
  bool tag = false;
};

void print_counts(const ExplainCounts& counts) {
  fmt::print("{} explained", counts.n_ok);
  if (counts.n_refused + counts.n_unparsable + counts.n_failed > 0)
    fmt::print("; {} refused, {} that could not be read, {} failed", counts.n_refused,
               counts.n_unparsable, counts.n_failed);
  fmt::print("\n");
}

void run_explain(const ExplainOptions& options, Session& session) {
  Atlas atlas(atlas_path(options.run), Atlas::Mode::write);
  atlas.begin_run({.version = kVersion, .seed = options.endpoint.settings.seed, .config = {}});
  if (!options.endpoint.given()) {
    if (options.tag)
      bad_input("--tag", "expected an endpoint that files the features",
                "give --endpoint; without one, the pairs that selected a feature are its tags");
    print_counts(explain_features(lexical_explainer(), options.sae, options.n_most, atlas,
                                  *session.reporter, session.stop));
    return;
  }
  EndpointClient endpoint(options.endpoint, atlas, session);
  LlmExplainer llm(endpoint.client(), options.llm);
  const Explainer explainer = llm_explainer(llm, options.llm, endpoint.settings());
  endpoint.announce(estimate_explaining(llm, explainer, options.sae, options.n_most, atlas));
  // The client reports its requests; a second line of progress would only flicker.
  SilentReporter silent;
  print_counts(
      explain_features(explainer, options.sae, options.n_most, atlas, silent, session.stop));
  if (options.tag) {
    LlmTagger tagger(endpoint.client());
    const TagCounts tagged =
        tag_features(tagger, explainer.key, options.sae, atlas, silent, session.stop);
    fmt::print("{} tagged, {} without a safety risk, {} not answered\n", tagged.n_tagged,
               tagged.n_without_risk, tagged.n_unanswered);
  }
  fmt::print("{}", endpoint.spending());
}

}  // namespace

void add_explain_command(CLI::App& app, Session& session) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* command = app.add_subcommand(
      "explain", "Explain the features of an atlas: offline, or by a language model");
  command->add_option("-r,--run", options->run, "Run folder, or an atlas.sqlite")->required();
  command->add_option("--sae", options->sae, "Only of this SAE, as in mlp_out.15/topk-k32");
  command->add_option("-n,--most", options->n_most, "At most so many features; 0: all");
  add_endpoint_options(*command, options->endpoint);
  command->add_flag("--tag", options->tag,
                    "File the explained features under the 4 domains and 17 subclasses");
  command->add_option("--second-language", options->llm.second_language,
                      "Ask for the text in this language too, as in Chinese");
  command->add_option("--seed", options->endpoint.settings.seed, "Of the excerpts and the endpoint")
      ->capture_default_str();
  command->footer(
      "Without --endpoint the lexical baseline explains. Run it again to go on where it stopped.\n"
      "Examples:\n"
      "  safesail explain --run runs/demo\n"
      "  safesail explain --run runs/demo --endpoint http://127.0.0.1:8080/v1 --llm my-model\n"
      "  safesail explain --run runs/demo --endpoint https://api.example.com/v1 --llm big \\\n"
      "    --key-env MY_KEY --prices prices.json --budget 2.50 --second-language Chinese");
  command->callback(
      [=, &session] { session.action = [=, &session] { run_explain(*options, session); }; });
}

}  // namespace safesail
