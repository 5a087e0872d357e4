#include "interpret/question.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <optional>
#include <unordered_set>

#include "base/error.h"
#include "base/hash.h"
#include "base/rng.h"

namespace safesail {
namespace {

std::uint64_t hash_of_ids(const Window& window) {
  return hash64(
      {reinterpret_cast<const char*>(window.ids.data()), window.ids.size() * sizeof(std::int32_t)});
}

/// Indices of the test windows that may be asked about; counts what it drops.
std::vector<std::size_t> clean_windows(const FeatureRecord& record, QuestionSet& set) {
  std::unordered_set<std::uint64_t> documents, windows;
  for (const Exemplar& exemplar : record.exemplars) {
    if (exemplar.use == Use::test) continue;
    documents.insert(exemplar.window.document);
    windows.insert(hash_of_ids(exemplar.window));
  }
  std::vector<std::size_t> clean;
  std::unordered_set<std::uint64_t> asked;
  for (std::size_t i = 0; i < record.exemplars.size(); ++i) {
    const Exemplar& exemplar = record.exemplars[i];
    if (exemplar.use != Use::test) continue;
    const std::uint64_t hash = hash_of_ids(exemplar.window);
    if (windows.contains(hash) || documents.contains(exemplar.window.document))
      ++set.n_shared;
    else if (!asked.insert(hash).second)
      ++set.n_repeated;
    else
      clean.push_back(i);
  }
  return clean;
}

/// At most `n` of the members, one from each stratum in turn, then shuffled.
std::vector<std::size_t> take_in_turn(std::map<int, std::vector<std::size_t>> strata, std::size_t n,
                                      Rng& rng) {
  std::vector<std::size_t> taken;
  std::size_t n_members = 0;
  for (auto& [key, members] : strata) {
    shuffle(members, rng);
    n_members += members.size();
  }
  n = std::min(n, n_members);
  for (std::size_t turn = 0; taken.size() < n; ++turn)
    for (const auto& [key, members] : strata)
      if (turn < members.size() && taken.size() < n) taken.push_back(members[turn]);
  shuffle(taken, rng);
  return taken;
}

struct Sides {
  std::vector<std::size_t> firing, silent;  ///< indices in the record
};

Sides choose_windows(const FeatureRecord& record, const QuestionOptions& options,
                     const std::vector<std::size_t>& candidates, Rng& rng) {
  std::map<int, std::vector<std::size_t>> firing, silent;
  for (const std::size_t i : candidates) {
    const Exemplar& exemplar = record.exemplars[i];
    const int level = activation_level(exemplar.window.max_activation(), record.quantile);
    if (level >= options.min_level)
      firing[exemplar.kind == WindowKind::top ? kMaxLevel + 1 : level].push_back(i);
    else
      silent[static_cast<int>(exemplar.kind)].push_back(i);
  }
  return {take_in_turn(std::move(firing), options.max_windows, rng),
          take_in_turn(std::move(silent), options.max_windows, rng)};
}

bool cuts_character(std::string_view text, std::uint32_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
}

/// What is read as highlighted when these units are: without the space in front, and runs as one.
std::vector<TextRange> marks(std::string_view text, std::span<const TextRange> units,
                             const std::vector<std::size_t>& marked) {
  std::vector<TextRange> ranges;
  for (const std::size_t unit : marked) {
    const TextRange bare = without_leading_space(text, units[unit]);
    if (!ranges.empty() && ranges.back().end == bare.begin)
      ranges.back().end = bare.end;
    else
      ranges.push_back(bare);
  }
  return ranges;
}

/// `n` of `from`, rising.
std::vector<std::size_t> draw(std::vector<std::size_t> from, std::size_t n, Rng& rng) {
  shuffle(from, rng);
  from.resize(n);
  std::ranges::sort(from);
  return from;
}

/// A window asked about twice, with the right tokens marked and with wrong ones.
struct Fuzzed {
  Question right, wrong;
};

/// Nothing where the window has fewer silent tokens than active ones.
std::optional<Fuzzed> fuzz(const Window& window, float quantile, int min_level, Rng& rng) {
  const std::vector<TextRange> units = token_units(window);
  const std::vector<float> activation = max_activations(window, units);
  std::vector<std::size_t> active, silent;
  for (std::size_t u = 0; u < units.size(); ++u) {
    if (activation_level(activation[u], quantile) >= min_level)
      active.push_back(u);
    else if (activation[u] == 0)
      silent.push_back(u);
  }
  if (silent.size() < active.size()) return std::nullopt;
  const TextRange whole = {0, static_cast<std::uint32_t>(window.text.size())};
  const Question question{.text = window.text, .units = {whole}, .marked = {}};
  Fuzzed fuzzed{question, question};
  fuzzed.right.marked = marks(window.text, units, active);
  fuzzed.wrong.marked = marks(window.text, units, draw(std::move(silent), active.size(), rng));
  return fuzzed;
}

void ask(QuestionSet& set, const FeatureRecord& record, std::size_t exemplar, bool fires,
         Question question, std::vector<float> truth) {
  SAFESAIL_CHECK(truth.size() == question.units.size());
  set.questions.push_back(std::move(question));
  set.truth.push_back(std::move(truth));
  set.exemplar.push_back(exemplar);
  set.document.push_back(record.exemplars[exemplar].window.document);
  set.fires.push_back(fires);
}

void ask_by_marks(QuestionSet& set, const FeatureRecord& record, const QuestionOptions& options,
                  const std::vector<std::size_t>& firing, Rng& rng) {
  std::vector<std::size_t> exemplars;
  std::vector<Fuzzed> questions;
  std::vector<bool> right_first;
  for (const std::size_t i : firing)
    if (auto fuzzed = fuzz(record.exemplars[i].window, record.quantile, options.min_level, rng)) {
      exemplars.push_back(i);
      questions.push_back(*std::move(fuzzed));
      right_first.push_back(rng.below(2) == 0);
    }
  for (const bool first_half : {true, false})
    for (std::size_t i = 0; i < questions.size(); ++i) {
      const bool right = right_first[i] == first_half;
      ask(set, record, exemplars[i], right,
          std::move(right ? questions[i].right : questions[i].wrong), {right ? 1.0F : 0.0F});
    }
}

void ask_by_units(QuestionSet& set, const FeatureRecord& record, const QuestionOptions& options,
                  std::size_t exemplar, bool fires) {
  const Window& window = record.exemplars[exemplar].window;
  Question question{.text = window.text, .units = {}, .marked = {}};
  switch (set.scorer) {
    case Scorer::segment:
      question.units = split_segments(window.text, options.segment_words);
      break;
    case Scorer::token:
      question.units = token_units(window);
      break;
    default:
      question.units = {{0, static_cast<std::uint32_t>(window.text.size())}};
  }
  std::vector<float> truth;
  for (const float activation : max_activations(window, question.units)) {
    const int level = activation_level(activation, record.quantile);
    truth.push_back(
        static_cast<float>(set.scorer == Scorer::token ? level : level >= options.min_level));
  }
  ask(set, record, exemplar, fires, std::move(question), std::move(truth));
}

}  // namespace

std::vector<TextRange> token_units(const Window& window) {
  std::vector<TextRange> units;
  for (std::size_t t = 0; t < window.n_tokens(); ++t) {
    const std::uint32_t begin = window.starts[t], end = window.starts[t + 1];
    if (begin == end) continue;
    if (!units.empty() && cuts_character(window.text, begin))
      units.back().end = end;
    else
      units.push_back({begin, end});
  }
  return units;
}

std::size_t QuestionSet::n_firing() const {
  return static_cast<std::size_t>(std::ranges::count(fires, true));
}

std::string QuestionSet::hash() const {
  std::string all = fmt::format("{}\n", to_string(scorer));
  const auto add = [&](const std::vector<TextRange>& ranges) {
    for (const TextRange range : ranges) all += fmt::format("{}-{} ", range.begin, range.end);
    all += '\n';
  };
  for (const Question& question : questions) {
    all += fmt::format("{} {}\n", question.text.size(), question.text);
    add(question.units);
    add(question.marked);
  }
  return hash_hex(all);
}

QuestionSet build_questions(const FeatureRecord& record, Scorer scorer,
                            const QuestionOptions& options) {
  SAFESAIL_CHECK(options.min_level >= 1 && options.min_windows >= 1);
  if (options.max_windows < options.min_windows)
    bad_input("score.windows",
              fmt::format("expected at least {} windows of each side, got {}", options.min_windows,
                          options.max_windows),
              "ask for more: fewer make no score");
  QuestionSet set{.scorer = scorer};
  Rng rng(options.seed, hash64(fmt::format("questions {} {}", record.sae, record.feature)));
  const Sides sides = choose_windows(record, options, clean_windows(record, set), rng);
  if (scorer == Scorer::fuzzing) {
    ask_by_marks(set, record, options, sides.firing, rng);
  } else {
    std::vector<std::pair<std::size_t, bool>> all;
    for (const std::size_t i : sides.firing) all.emplace_back(i, true);
    for (const std::size_t i : sides.silent) all.emplace_back(i, false);
    shuffle(all, rng);
    for (const auto& [i, fires] : all) ask_by_units(set, record, options, i, fires);
  }
  const std::size_t n_firing = set.n_firing(), n_silent = set.fires.size() - n_firing;
  if (std::min(n_firing, n_silent) < options.min_windows)
    set.insufficient =
        fmt::format("insufficient: n = {} firing, {} {}; {} of each are wanted", n_firing, n_silent,
                    scorer == Scorer::fuzzing ? "marked wrongly" : "silent", options.min_windows);
  return set;
}

}  // namespace safesail
