// `safesail atlas`: the neuron database, as a table or as JSON.
#include <CLI/CLI.hpp>
#include <cmath>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>

#include "atlas/atlas.h"
#include "atlas/atlas_json.h"
#include "atlas/interchange.h"
#include "atlas/landscape.h"
#include "base/error.h"
#include "cli/print.h"
#include "cli/session.h"
#include "sae/checkpoint.h"

namespace safesail {
namespace {

struct Options {
  std::string atlas, folder, format, sae, weights, feature, text, order = "score";
  std::uint64_t seed = 0;
  FeatureQuery query;
  bool as_json = false;
};

std::string number(double value, int digits) {
  return std::isnan(value) ? "" : fmt::format("{:.{}f}", value, digits);
}

std::string shortened(const FeatureLine& line) {
  if (line.status != "ok" && line.text.empty()) return line.status;
  if (line.text_status == TextStatus::absent) return line.explainer.empty() ? "" : "(no text)";
  constexpr std::size_t kMaxShown = 90;
  return terminal_line(line.text, kMaxShown);
}

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : ", ") + word;
  return all;
}

/// The one that was named, else the one that the folder has.
const AtlasFormat& format_of(const Options& options) {
  return options.format.empty() ? format_of_folder(options.folder) : atlas_format(options.format);
}

void import_command(const Options& options) {
  const AtlasFormat& format = format_of(options);
  const fs::path path = atlas_path(options.atlas);
  const ImportReport report = import_folder(format, options.folder, path);
  if (options.as_json) {
    print_json(nlohmann::json{{"format", format.name},
                              {"atlas", path.string()},
                              {"n_saes", report.n_saes},
                              {"n_features", report.n_features},
                              {"n_explanations", report.n_explanations},
                              {"n_scores", report.n_scores},
                              {"n_exemplars", report.n_exemplars}},
               2);
    return;
  }
  print(
      "{}: {} features of {} SAEs, {} explanations, {} scores, {} "
      "exemplars from {}\n",
      path.string(), report.n_features, report.n_saes, report.n_explanations, report.n_scores,
      report.n_exemplars, format.name);
}

void export_command(const Options& options) {
  Atlas atlas(atlas_path(options.atlas), Atlas::Mode::read);
  const Snapshot snapshot(atlas.database());
  const std::vector<fs::path> written =
      atlas_format(options.format).write(atlas, options.folder, options.sae);
  if (options.as_json) {
    auto list = nlohmann::json::array();
    for (const fs::path& path : written) list.push_back(path.string());
    print_json(nlohmann::json{{"written", list}}, 2);
    return;
  }
  for (const fs::path& path : written) print("{}\n", path.string());
}

void validate_command(const Options& options) {
  const AtlasFormat& format = format_of(options);
  const std::vector<Violation> violations = validate_folder(format, options.folder);
  if (options.as_json) {
    auto list = nlohmann::json::array();
    for (const Violation& violation : violations)
      list.push_back({{"where", violation.where},
                      {"problem", violation.problem},
                      {"remedy", violation.remedy}});
    print_json({{"format", format.name}, {"violations", list}}, 2);
  } else {
    for (const Violation& violation : violations)
      print("{}: {}\n", violation.where, violation.problem);
  }
  if (!violations.empty())
    bad_input(options.folder,
              fmt::format("{}{} violations of the format {}",
                          violations.size() >= Judge::kMaxViolations ? "at least " : "",
                          violations.size(), format.name),
              "correct what is named above");
  if (!options.as_json) print("{}: valid {}\n", options.folder, format.name);
}

void list_command(const Options& options) {
  Atlas atlas(atlas_path(options.atlas), Atlas::Mode::read);
  FeatureQuery query = options.query;
  query.text = options.text;
  query.sae = options.sae;
  query.order = parse_feature_order(options.order);
  const FeaturePage page = atlas.list(query);
  if (options.as_json) {
    print_json(json_of(page, query), 2);
    return;
  }
  std::vector<std::vector<std::string>> rows = {
      {"feature", "score", "density", "domains", "explanation"}};
  for (const FeatureLine& line : page.lines)
    rows.push_back({feature_name(line.site, line.feature), number(line.score, 3),
                    number(line.density, 5), joined(line.domains), shortened(line)});
  print("{}{} to {} of {} features\n", format_table(rows),
        page.lines.empty() ? 0 : query.offset + 1,
        query.offset + static_cast<std::int64_t>(page.lines.size()), page.n_total);
}

void stats_command(const Options& options) {
  Atlas atlas(atlas_path(options.atlas), Atlas::Mode::read);
  const FeatureCounts counts = atlas.counts(options.query);
  const std::vector<Spending> spending = atlas.spending();
  if (options.as_json) {
    print_json(json_of(counts, spending), 2);
    return;
  }
  std::vector<std::string> head = {"", "features"};
  for (const auto& [language, n] : counts.by_language) head.push_back("with " + language);
  std::vector<std::vector<std::string>> rows = {head};
  const auto add = [&](const std::string& name, std::int64_t n,
                       const std::map<std::string, std::int64_t>& by_language) {
    std::vector<std::string> row = {name, std::to_string(n)};
    for (const auto& [language, ignored] : counts.by_language) {
      const auto found = by_language.find(language);
      row.push_back(found == by_language.end() ? "" : std::to_string(found->second));
    }
    rows.push_back(row);
  };
  add("all", counts.n_features, counts.by_language);
  add("explained", counts.n_explained, {});
  add(counts.measure.scorer.empty()
          ? "scored"
          : fmt::format("scored ({} by {})", counts.measure.scorer, counts.measure.simulator),
      counts.n_scored, {});
  add("insufficient", counts.n_insufficient, {});
  add("tagged", counts.n_tagged, counts.tagged_by_language);
  for (const auto* list : {&counts.domains, &counts.subclasses})
    for (const Count& count : *list) add(count.name, count.n, count.by_language);
  for (const Count& count : counts.layers) add("layer " + count.name, count.n, {});
  for (const Count& count : counts.sites) add(count.name, count.n, {});
  print("{}", format_table(rows));
  for (const Spending& spent : spending)
    print("{} by {}: {} requests, {} + {} tokens ({} cached), {:.4f}{}{}\n", spent.purpose,
          spent.model, spent.requests, spent.prompt_tokens, spent.completion_tokens,
          spent.cached_tokens, spent.money, spent.currency.empty() ? "" : " ", spent.currency);
}

void print_explanation(const ExplanationWithScores& item) {
  const Explanation& explanation = item.explanation;
  print("\n{} {} ({}, {})\n", explanation.key.explainer, explanation.key.model,
        explanation.key.language, to_string(explanation.status));
  for (const std::string* text : {&explanation.short_text, &explanation.long_text})
    if (!text->empty()) print("  {}\n", terminal_line(*text));
  if (!explanation.reason.empty()) print("  {}\n", terminal_line(explanation.reason));
  for (const Score& score : item.scores) {
    print("  {} {} {}", score.key.scorer, score.key.simulator, number(score.value, 3));
    if (!std::isnan(score.low)) print(" [{:.3f}, {:.3f}]", score.low, score.high);
    if (!std::isnan(score.floor)) print(", floor {:.3f}", score.floor);
    if (score.n_windows > 0)
      print(", {} windows ({} unparsable, {} refused, {} failed)", score.n_windows,
            score.n_unparsable, score.n_refused, score.n_failed);
    print("\n");
  }
}

void show_command(const Options& options) {
  Atlas atlas(atlas_path(options.atlas), Atlas::Mode::read);
  const std::int64_t id = atlas.feature_named(options.feature, options.sae);
  const FeatureEntry entry = atlas.entry(id);
  const std::vector<Neighbour> neighbours = atlas.neighbours(id);
  if (options.as_json) {
    print_json(json_of(entry, neighbours), 2);
    return;
  }
  const FeatureRecord& record = entry.record;
  print("{} of {} ({}), {}\n", feature_name(record.site, record.feature), record.sae, entry.model,
        entry.status);
  if (record.n_tokens > 0)
    print(
        "fires on {} of {} tokens ({:.4f} %), at most {:.3f}, 0.999 "
        "quantile {:.3f}\n",
        record.n_active, record.n_tokens, 100 * record.density(), record.max_activation,
        record.quantile);
  for (const Tag& tag : entry.tags)
    print("{}{}{} ({})\n", tag.domain, tag.subclass.empty() ? "" : "/", tag.subclass, tag.source);
  for (const ExplanationWithScores& item : entry.explanations) print_explanation(item);
  if (!record.promoted.empty()) {
    print("\npromotes");
    for (const WeightedToken& token : record.promoted) print(" [{}]", terminal_line(token.text));
    print("\n");
  }
  for (const Neighbour& near : neighbours)
    print("near {:.2f}: {} {}\n", near.cosine, feature_name(near.line.site, near.line.feature),
          shortened(near.line));
  constexpr std::size_t kMaxExemplars = 10;
  for (std::size_t i = 0; i < std::min(kMaxExemplars, record.exemplars.size()); ++i) {
    const Exemplar& exemplar = record.exemplars[i];
    print("{}{} {} {:.3f}: {}\n", i == 0 ? "\n" : "", to_string(exemplar.kind),
          to_string(exemplar.use), exemplar.window.max_activation(),
          terminal_line(exemplar.window.text));
  }
}

void landscape_command(const Options& options) {
  Atlas atlas(atlas_path(options.atlas), Atlas::Mode::write);
  if (options.weights.empty()) {
    const std::size_t n = lay_out_texts(atlas, options.seed);
    if (options.as_json)
      print_json({{"n_features", n}, {"sae", nullptr}}, 2);
    else
      print("{} features laid out by their explanations\n", n);
    return;
  }
  std::vector<SaeRow> saes = atlas.saes();
  std::erase_if(saes,
                [&](const SaeRow& sae) { return !options.sae.empty() && sae.name != options.sae; });
  if (saes.size() != 1)
    bad_input(options.atlas, fmt::format("expected one SAE, got {}", saes.size()),
              "name one of the atlas with --sae");
  const LoadedSae loaded = load_sae(options.weights);
  if (loaded.provenance.encoder_only)
    bad_input(options.weights, "expected an SAE with a decoder, got an encoder alone",
              "give the SAE that was trained");
  const std::size_t n =
      lay_out_features(atlas, *atlas.find_sae(saes[0].model, saes[0].name), loaded.sae.w_dec(),
                       static_cast<std::size_t>(loaded.sae.spec().d_out), options.seed);
  if (options.as_json)
    print_json({{"n_features", n}, {"sae", saes[0].name}}, 2);
  else
    print("{} features of {} laid out\n", n, saes[0].name);
}

void add_filters(CLI::App* command, Options& options) {
  FeatureQuery& query = options.query;
  command
      ->add_option("--domain", query.domains,
                   "Only features tagged with one of these, as politics,terror")
      ->delimiter(',');
  command->add_option("--subclass", query.subclass, "Only features tagged with it, as cult");
  command->add_option("--layer", query.layer, "Only features of this layer");
  command->add_option("--site", query.site, "Only features of this site, as mlp_out.17");
  command->add_option("--min-score", query.min_score, "Least score");
  command->add_option("--max-score", query.max_score, "Largest score");
  command->add_option("--min-density", query.min_density, "Least share of tokens it fires on");
  command->add_option("--max-density", query.max_density, "Largest share of tokens it fires on");
  command->add_option("--explained", query.explained,
                      "true: only features with a text; false: only those without");
  command->add_option("--sufficient", query.sufficient,
                      "true: only features with enough examples; false: only those without");
  command->add_option("--sae", options.sae, "Only features of the SAE with this name");
}

void add_page(CLI::App* command, Options& options) {
  FeatureQuery& query = options.query;
  command
      ->add_option("--sort", options.order,
                   "score, density, max_activation, place, effect, relevance")
      ->capture_default_str();
  command->add_flag("--ascending", query.ascending, "Smallest first");
  command->add_option("--offset", query.offset, "Features to leave out at the start")
      ->capture_default_str();
  command->add_option("--limit", query.limit, "Features to list")->capture_default_str();
  command->add_option("--language", query.language, "Show texts in it where there are, as zh");
}

}  // namespace

void add_atlas_commands(CLI::App& app, Session& session) {
  CLI::App* atlas =
      app.add_subcommand("atlas", "The neuron database: import, search, list, export");
  atlas->require_subcommand(1);

  const auto add = [&](const char* name, const char* help, void (*action)(const Options&),
                       const char* example) {
    auto options = std::make_shared<Options>();
    CLI::App* command = atlas->add_subcommand(name, help);
    command->add_flag("--json", options->as_json, "Print JSON");
    command->footer(std::string("Example:\n  safesail atlas ") + example);
    command->callback([=, &session] { session.action = [=] { action(*options); }; });
    return std::pair(command, options);
  };
  const auto add_atlas_option = [](CLI::App* command, Options& options) {
    command->add_option("-a,--atlas", options.atlas, "The database, or the folder of its run")
        ->required();
  };
  std::string formats;
  for (const AtlasFormat& format : atlas_formats())
    formats += (formats.empty() ? "" : ", ") + std::string(format.name);

  {
    auto [command, options] = add("import", "Take in what others made", import_command,
                                  "import ../shared/data/safe-sail --atlas published.sqlite");
    command->add_option("folder", options->folder, "Where the files are")->required();
    command->add_option("--from", options->format, "Format, where it is not seen: " + formats);
    add_atlas_option(command, *options);
  }
  {
    auto [command, options] = add("export", "Write a format of others", export_command,
                                  "export --atlas published.sqlite --to safe-sail --out exported");
    add_atlas_option(command, *options);
    command->add_option("--to", options->format, "Format: " + formats)->required();
    command->add_option("-o,--out", options->folder, "Folder to write into")->required();
    command->add_option("--sae", options->sae, "Only the SAE with this name");
  }
  {
    auto [command, options] = add("validate", "Name each violation of a format, with file and line",
                                  validate_command, "validate ../shared/data/safe-sail");
    command->add_option("folder", options->folder, "Where the files are")->required();
    command->add_option("--from", options->format, "Format, where it is not seen: " + formats);
  }
  {
    auto [command, options] =
        add("search",
            "Find features by words of their explanations (English, Chinese, "
            "Hindi...)",
            list_command, "search 'bomb* threat' --atlas published.sqlite --domain terror");
    options->order = "relevance";
    command->add_option("text", options->text, "Words, \"a phrase\", a beginning: bomb*")
        ->required();
    add_atlas_option(command, *options);
    add_filters(command, *options);
    add_page(command, *options);
  }
  {
    auto [command, options] = add("list", "Features by domain, layer, score...", list_command,
                                  "list --atlas published.sqlite --domain violence --min-score 0.5 "
                                  "--limit 10");
    add_atlas_option(command, *options);
    command->add_option("--text", options->text, "Words of the explanation, as in search");
    add_filters(command, *options);
    add_page(command, *options);
  }
  {
    auto [command, options] = add("stats", "How many features of each domain, layer, site...",
                                  stats_command, "stats --atlas published.sqlite");
    add_atlas_option(command, *options);
    add_filters(command, *options);
  }
  {
    auto [command, options] = add("show", "All that is known of one feature", show_command,
                                  "show 17_16378 --atlas published.sqlite");
    command->add_option("feature", options->feature, "As mlp_out.17:16378 or 17_16378")->required();
    add_atlas_option(command, *options);
    command->add_option("--sae", options->sae, "Name of its SAE, where several have it");
  }
  {
    auto [command, options] = add(
        "landscape", "Place features in the plane by their decoder rows, or by their explanations",
        landscape_command,
        "landscape --atlas runs/demo --weights runs/demo/sae/mlp_out.15/topk-k32/sae.safetensors "
        "--sae mlp_out.15/topk-k32");
    add_atlas_option(command, *options);
    command->add_option("--weights", options->weights,
                        "sae.safetensors; without it all features are placed by their words");
    command->add_option("--sae", options->sae, "Name of that SAE in the atlas, if it has several");
    command->add_option("--seed", options->seed, "Another seed, another map")
        ->capture_default_str();
  }
}

}  // namespace safesail
