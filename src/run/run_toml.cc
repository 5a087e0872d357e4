#include "run/run_toml.h"

#include <cmath>
#include <concepts>
#include <cstdint>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <limits>
#include <toml++/toml.h>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "formats/json.h"
#include "formats/nearest.h"

namespace safesail {
namespace {

constexpr std::uint64_t kMaxFileBytes = 1 << 20;

/// A run with the settings that are written otherwise than they are held.
struct RunFile {
  RunConfig run;
  Phase2Config phase2;
  std::string model, out, dtype = "bf16";
  std::vector<std::string> sites, exemplar_corpus, scorers = {"segment", "detection"};
};

using Target = std::variant<std::string*, bool*, double*, float*, std::int32_t*, std::uint32_t*,
                            std::int64_t*, std::uint64_t*, std::vector<std::string>*,
                            std::vector<std::int64_t>*, std::vector<double>*>;

struct Key {
  std::string_view name;     ///< "section.key"; without a section at the top
  std::string_view comment;  ///< what it means; a longer one wraps by itself
  Target target;
};

/// The whole file, in its order.
std::vector<Key> keys_of(RunFile& file) {
  RunConfig& run = file.run;
  GridLists& lists = run.lists;
  GridConfig& grid = run.grid;
  TrainerOptions& trainer = lists.trainer;
  SelectConfig& select = file.phase2.select;
  CollectConfig& collect = file.phase2.collect;
  ExemplarConfig& exemplars = collect.exemplars;
  return {
      {"out", "Run folder. Empty: the folder that this file lies in.", &file.out},
      {"seed", "Of weights, shuffling and resampling.", &grid.seed},

      {"model.path", "A Hugging Face folder or a .gguf file.", &file.model},
      {"model.dtype", "bf16 or f32.", &file.dtype},
      {"model.device", "cpu, cuda or cuda:N.", &run.load.device},

      {"corpus.paths", "Files, folders or globs: .jsonl, .parquet or plain text, also .gz or .zst.",
       &run.corpus.paths},
      {"corpus.field", "Field with the text, or with chat messages.", &run.corpus.field},
      {"corpus.document_per_line", "Plain text: a document is a line; false: a paragraph.",
       &run.corpus.document_per_line},
      {"corpus.max_bad_share", "Share of bad lines that stops the run.", &run.corpus.max_bad_share},
      {"corpus.shuffle_window",
       "Documents are shuffled inside windows of this many; 0: not at all.",
       &run.corpus.shuffle_window},
      {"corpus.max_sequence", "Longer documents are cut into pieces of this many tokens.",
       &run.batch.max_sequence},
      {"corpus.batch_tokens", "Tokens of one pass of the model.", &run.batch.batch_tokens},
      {"corpus.add_special", "Add BOS and EOS as the tokenizer does.", &run.batch.add_special},
      {"corpus.held_out_share", "Share of documents kept for evaluation.", &run.held_out_share},

      {"grid.sites", "Every combination of these lists is an SAE. Sites: mlp_out.5, or mlp_out.*",
       &file.sites},
      {"grid.architectures", "topk, batchtopk, matryoshka, jumprelu, relu, gated.",
       &lists.architectures},
      {"grid.k", "Active features a token, or the L0 aimed at where they are not fixed.",
       &lists.ks},
      {"grid.expansions", "Features as multiples of the site's width.", &lists.expansions},
      {"grid.features", "Numbers of features, in place of expansions.", &lists.n_features},
      {"grid.seeds", "SAEs that differ in nothing but their seed.", &lists.n_seeds},
      {"grid.transcoders", "Read one site, reconstruct another: \"mlp_in.5:mlp_out.5\".",
       &lists.transcoders},
      {"grid.skip", "Transcoders get a skip connection.", &lists.skip},

      {"training.tokens", "Budget; the schedules end with it.", &grid.n_tokens},
      {"training.batch_tokens", "Tokens of an SAE step.", &grid.batch_tokens},
      {"training.lr", "Peak learning rate; 0: by width and budget.", &grid.lr},
      {"training.warmup_share", "Share of the budget over which it rises.", &grid.warmup_share},
      {"training.decay_share", "Share at the end over which it falls to 0.", &grid.decay_share},
      {"training.k_anneal_share", "Share over which k falls from 8 times its value; 0: not at all.",
       &grid.k_anneal_share},
      {"training.auxk", "Weight of the loss that revives dead features; 0: off.",
       &trainer.auxk_coefficient},
      {"training.k_aux", "Dead features that it uses; 0: half of the width.", &trainer.k_aux},
      {"training.penalty", "Weight of the sparsity term, at the start; 0: the architecture's.",
       &trainer.penalty},
      {"training.bandwidth", "JumpReLU: width of the straight-through window.", &trainer.bandwidth},
      {"training.clip_norm", "Largest joint gradient norm; 0: not cut.", &trainer.clip_norm},
      {"training.adam_epsilon", "Adam's epsilon, for a loss that is a mean over the width.",
       &trainer.epsilon},
      {"training.dead_after_tokens", "Dead: silent for this many tokens; 0: by the budget.",
       &trainer.dead_after_tokens},
      {"training.drop_sinks", "Leave out tokens longer than this times the median; 0: none.",
       &grid.drop_sinks},
      {"training.sample_tokens", "Tokens on which sites are measured first.", &grid.sample_tokens},
      {"training.block_rows", "Tokens that the model computes at a time.", &grid.block_rows},
      {"training.shuffle_buffer", "Tokens in memory, shuffled across documents.",
       &grid.shuffle_buffer},
      {"training.device", "Where the SAEs train: cpu, cuda or cuda:N.", &trainer.device},
      {"training.checkpoint_minutes", "Minutes between checkpoints.", &grid.checkpoint_minutes},
      {"training.keep_checkpoints", "Keep this many of the last, and the best.",
       &grid.keep_checkpoints},
      {"training.overlap", "Model and SAEs at the same time, not in turns.", &grid.overlap},

      {"evaluation.tokens", "Held-out tokens for FVU, L0 and dead features.",
       &run.evaluation.n_tokens},
      {"evaluation.loss_tokens", "Held-out tokens for the losses.", &run.evaluation.n_loss_tokens},
      {"evaluation.resamples", "Of documents, for the intervals.", &run.evaluation.n_resamples},

      {"select.pairs", "Contrast pairs, .jsonl or a HateCheck .csv. Empty: the run ends here.",
       &file.phase2.pairs},
      {"select.min_pairs", "Of a concept that is judged.", &select.min_pairs},
      {"select.threshold", "A feature fires in a text when its maximum is above this.",
       &select.firing.threshold},
      {"select.chat", "Read each text as a user's message in the chat template.",
       &select.firing.chat},
      {"select.false_discovery_rate", "False ones allowed among the features accepted, as a share.",
       &select.tests.false_discovery_rate},
      {"select.held_out", "Share of the finest concepts that the accepted features are tried on.",
       &select.held_out_share},
      {"select.resamples", "Label swaps for the null, and draws of pairs for the intervals.",
       &select.n_resamples},

      {"exemplars.corpus", "Where the features are looked for. Empty: the run's corpus.",
       &file.exemplar_corpus},
      {"exemplars.tokens", "Read by the model.", &collect.n_tokens},
      {"exemplars.max_features", "Of an SAE, the surest first.", &collect.max_features},
      {"exemplars.window_tokens", "Longest window.", &exemplars.window_tokens},
      {"exemplars.top", "Strongest windows kept of a feature, for each use of documents.",
       &exemplars.n_top},
      {"exemplars.per_level", "Windows drawn at each level.", &exemplars.n_per_level},
      {"exemplars.silent", "Windows drawn in which it does not fire.", &exemplars.n_silent},
      {"exemplars.hard", "Windows of each hard kind: its tokens, its companions, yet silent.",
       &exemplars.n_hard},

      {"score.scorers", "segment, token, detection, fuzzing; by the lexical baseline.",
       &file.scorers},
      {"score.windows", "Windows of each side, firing and silent.",
       &file.phase2.score.questions.max_windows},
  };
}

template <class T>
constexpr const char* kTypeName = std::same_as<T, std::string> ? "text in quotes"
                                  : std::same_as<T, bool>      ? "true or false"
                                  : std::integral<T>           ? "a whole number"
                                                               : "a number";

/// Sets `into` from a TOML value; false when it is of another type or out of range.
template <class T>
bool assign(const toml::node& node, T& into) {
  if constexpr (std::floating_point<T>) {
    const auto value = node.value<double>();  // integers too
    if (!value || !node.is_number() || !std::isfinite(*value)) return false;
    into = static_cast<T>(*value);
  } else if constexpr (std::integral<T> && !std::same_as<T, bool>) {
    const auto value = node.value_exact<std::int64_t>();
    if (!value || !std::in_range<T>(*value)) return false;
    into = static_cast<T>(*value);
  } else {
    const auto value = node.value_exact<T>();
    if (!value) return false;
    into = *value;
  }
  return true;
}

template <class T>
bool assign(const toml::node& node, std::vector<T>& into) {
  const toml::array* array = node.as_array();
  if (array == nullptr) return false;
  into.clear();
  for (const toml::node& item : *array)
    if (!assign(item, into.emplace_back())) return false;
  return true;
}

template <class T>
std::string expected(const T&) {
  return kTypeName<T>;
}
template <class T>
std::string expected(const std::vector<T>&) {
  return fmt::format("a list, each {}", kTypeName<T>);
}

std::string shown(const std::string& value) {
  return dump_json(Json(value));
}
std::string shown(bool value) {
  return value ? "true" : "false";
}
std::string shown(double value) {
  // A number with a point stays a floating-point number when it is read again.
  return dump_json(Json(value));
}
template <std::integral T>
std::string shown(T value) {
  return fmt::to_string(value);
}
template <class T>
std::string shown(const std::vector<T>& values) {
  std::vector<std::string> texts;
  for (const T& value : values) texts.push_back(shown(value));
  return fmt::format("[{}]", fmt::join(texts, ", "));
}

class Reader {
 public:
  Reader(RunFile& file, const std::string& where) : keys_(keys_of(file)), where_(where) {}

  void read(const toml::table& table, const std::string& prefix) {
    for (const auto& [key, node] : table) {
      const std::string name = prefix + std::string(key.str());
      if (const toml::table* section = node.as_table(); section != nullptr && prefix.empty())
        read(*section, name + ".");
      else
        set(name, node);
    }
  }

 private:
  void set(const std::string& name, const toml::node& node) {
    const std::string line = fmt::format("{}:{}", where_, node.source().begin.line);
    const auto key =
        std::find_if(keys_.begin(), keys_.end(), [&](const Key& k) { return k.name == name; });
    if (key == keys_.end()) {
      std::vector<std::string_view> names;
      for (const Key& known : keys_) names.push_back(known.name);
      bad_input(line,
                fmt::format("there is no key {}; the nearest are {}", printable(name),
                            nearest_names(name, names)),
                "safesail run --example prints all keys");
    }
    std::visit(
        [&](auto* into) {
          if (!assign(node, *into))
            bad_input(line, fmt::format("{}: expected {}", name, expected(*into)),
                      "safesail run --example prints all keys with their defaults");
        },
        key->target);
  }

  const std::vector<Key> keys_;
  const std::string& where_;
};

toml::table parse(std::string_view text, const std::string& where) {
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    bad_input(fmt::format("{}:{}", where, error.source().begin.line),
              fmt::format("expected TOML: {}", error.description()), "correct the line");
  }
}

ComputeType compute_type(const std::string& dtype, const std::string& where) {
  if (dtype != "f32" && dtype != "bf16")
    bad_input(where, fmt::format("model.dtype: expected bf16 or f32, got {}", printable(dtype)),
              "choose one of them");
  return dtype == "f32" ? ComputeType::f32 : ComputeType::bf16;
}

}  // namespace

RunPlan parse_run_toml(std::string_view text, const std::string& where) {
  RunFile file;
  file.run.grid.n_tokens = 1'000'000;
  Reader(file, where).read(parse(text, where), "");
  RunConfig& run = file.run;
  if (file.model.empty() || run.corpus.paths.empty() ||
      (file.sites.empty() && run.lists.transcoders.empty()))
    bad_input(where, "expected model.path, corpus.paths and grid.sites (or grid.transcoders)",
              "safesail run --example prints a file to start from");
  run.model = file.model;
  run.out = file.out;
  run.load.dtype = compute_type(file.dtype, where);
  run.sites = fmt::format("{}", fmt::join(file.sites, ","));
  run.corpus.seed = run.lists.seed = run.evaluation.seed = run.grid.seed;

  Phase2Config& phase2 = file.phase2;
  phase2.score.scorers.clear();
  for (const std::string& scorer : file.scorers)
    phase2.score.scorers.push_back(parse_scorer(scorer));
  phase2.collect.corpus = run.corpus;
  if (!file.exemplar_corpus.empty()) phase2.collect.corpus.paths = file.exemplar_corpus;
  phase2.collect.batch = run.batch;
  phase2.select.seed = phase2.collect.exemplars.seed = phase2.score.questions.seed =
      phase2.score.options.seed = run.grid.seed;
  return {std::move(run), std::move(phase2)};
}

RunPlan read_run_toml(const fs::path& path) {
  const std::string text = read_file(path, kMaxFileBytes);
  RunPlan plan = parse_run_toml(text, path.string());
  RunConfig& run = plan.phase1;
  const fs::path here = path.parent_path().empty() ? fs::path(".") : path.parent_path();
  if (run.out.empty()) run.out = here;
  if (!fs::exists(run.out) || !fs::equivalent(run.out, here))
    write_file(run.out / "safesail.toml", text);
  return plan;
}

std::string example_run_toml() {
  RunFile file;
  file.out = "runs/first";
  file.model = ".deps/models/smollm2-135m-instruct-q4_1.gguf";
  file.run.corpus.paths = {".deps/corpora/wordnet.jsonl"};
  file.run.grid.n_tokens = 1'000'000;
  file.sites = {"mlp_out.7", "mlp_out.15"};
  file.phase2.pairs = {"data/pairs/en.jsonl"};
  std::string text =
      "# A run of Safesail: `safesail run safesail.toml` does what is missing of it. Every key is "
      "here,\n# with its default (but for out, model, corpus, sites, tokens and pairs).\n# Paths "
      "are relative to the working directory.\n";
  std::string section;
  for (const Key& key : keys_of(file)) {
    const std::size_t dot = key.name.find('.');
    if (dot != std::string_view::npos && key.name.substr(0, dot) != section) {
      section = key.name.substr(0, dot);
      text += fmt::format("\n[{}]\n", section);
    }
    const std::string_view name =
        dot == std::string_view::npos ? key.name : key.name.substr(dot + 1);
    text += fmt::format("# {}\n", key.comment);
    std::visit([&](auto* value) { text += fmt::format("{} = {}\n", name, shown(*value)); },
               key.target);
  }
  return text;
}

}  // namespace safesail
