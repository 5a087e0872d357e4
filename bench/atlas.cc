// Milliseconds of listings and searches on a synthetic atlas, as a Markdown table.
//   bench_atlas FILE.sqlite [features]
// Makes the file when it does not exist: ten SAEs, texts of twelve words drawn by Zipf's law, a
// fifth of the features also in Chinese, a tenth in Hindi, four domains of four subclasses.
#include "atlas/atlas.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fmt/format.h>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace {

using namespace safesail;

constexpr int kSaes = 10, kRepeats = 25, kWords = 20'000, kWordsOfAText = 12;
constexpr std::string_view kDomains[] = {"politics", "pornography", "violence", "terror"};

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Rank from 1 of a word by Zipf's law: P(rank) ~ 1 / rank.
int zipf(std::mt19937_64& rng) {
  const double u = std::uniform_real_distribution<double>(0, 1)(rng);
  return std::min(kWords, static_cast<int>(std::pow(kWords, u)));
}

std::string english(int rank) {
  return fmt::format("w{}", rank);
}

/// Two characters a word.
std::string chinese(int rank) {
  const auto character = [](int n) {
    const int c = 0x4E00 + n;
    return std::string{static_cast<char>(0xE0 | (c >> 12)),
                       static_cast<char>(0x80 | (c >> 6 & 0x3F)),
                       static_cast<char>(0x80 | (c & 0x3F))};
  };
  return character(rank % 3000) + character(3000 + rank / 3000 * 100 + rank % 97);
}

/// Devanagari consonants with matras.
std::string hindi(int rank) {
  std::string word;
  for (int n = rank + 100; n > 0; n /= 30) {
    const int consonant = 0x915 + n % 30;
    word += {static_cast<char>(0xE0), static_cast<char>(0x80 | (consonant >> 6 & 0x3F)),
             static_cast<char>(0x80 | (consonant & 0x3F))};
    word += "\xE0\xA4\xBE";  // aa
  }
  return word;
}

template <class Word>
std::string text_of(std::mt19937_64& rng, const Word& word, std::string_view between) {
  std::string text;
  for (int i = 0; i < kWordsOfAText; ++i) (text += word(zipf(rng))) += between;
  return text;
}

void put_feature(Atlas& atlas, std::int64_t sae, int index, std::mt19937_64& rng) {
  const auto uniform = [&] { return std::uniform_real_distribution<double>(0, 1)(rng); };
  FeatureRecord record;
  record.feature = index;
  record.n_tokens = 10'000'000;
  record.n_active = static_cast<std::uint64_t>(std::pow(10, 6 * uniform()));
  record.max_activation = static_cast<float>(20 * uniform());
  record.quantile = record.max_activation * 0.9F;
  const bool sufficient = uniform() < 0.95;
  const std::int64_t id =
      atlas.put_feature(sae, record, sufficient ? "ok" : Atlas::insufficient(3));
  if (!sufficient) return;
  Explanation explanation;
  explanation.key.explainer = "llm";
  explanation.short_text = text_of(rng, english, " ");
  const std::int64_t text = atlas.put_explanation(id, explanation);
  if (index % 5 == 0) {
    explanation.key.language = "zh";
    explanation.short_text = text_of(rng, chinese, "");
    atlas.put_explanation(id, explanation);
  } else if (index % 10 == 1) {
    explanation.key.language = "hi";
    explanation.short_text = text_of(rng, hindi, " ");
    atlas.put_explanation(id, explanation);
  }
  Score score;
  score.key.scorer = "segment";
  score.value = 0.8 * uniform() - 0.05;
  atlas.put_score(text, score);
  if (uniform() < 0.37) {
    const auto kind = static_cast<std::size_t>(16 * uniform() * uniform());
    atlas.put_tag(id, {std::string(kDomains[kind / 4]), fmt::format("s{}", kind), "pairs", "{}"});
    PairMetrics metrics;
    metrics.concept_name = fmt::format("s{}", kind);
    metrics.effect = uniform();
    atlas.put_pair_metrics(id, metrics);
  }
}

void make_atlas(const fs::path& path, int n_features) {
  Atlas atlas(path);
  std::mt19937_64 rng(1);
  const double start = now();
  for (int s = 0; s < kSaes; ++s) {
    Transaction transaction = atlas.transaction();
    const std::int64_t sae =
        atlas.put_sae({"model", fmt::format("mlp_out.{}/topk", s), fmt::format("mlp_out.{}", s), s,
                       "topk", n_features / kSaes, "{}"});
    for (int i = 0; i < n_features / kSaes; ++i) put_feature(atlas, sae, i, rng);
    transaction.commit();
  }
  fmt::print("{} features written in {:.0f} s\n\n", n_features, now() - start);
}

template <class Body>
void report(std::string_view name, const Body& body) {
  std::vector<double> milliseconds;
  std::int64_t n_total = 0;
  for (int i = 0; i < kRepeats; ++i) {
    const double start = now();
    n_total = body(i);
    milliseconds.push_back(1000 * (now() - start));
  }
  std::ranges::sort(milliseconds);
  fmt::print("| {} | {} | {:.1f} | {:.1f} |\n", name, n_total, milliseconds[kRepeats / 2],
             milliseconds.back());
  std::fflush(stdout);
}

void measure(const fs::path& path) {
  double start = now();
  Atlas atlas(path, Atlas::Mode::read);
  const std::int64_t n = atlas.list({}).n_total;
  const double open_ms = 1000 * (now() - start);
  fmt::print("| atlas of {} features | matches | median ms | worst of {} |\n", n, kRepeats);
  fmt::print("| --- | --: | --: | --: |\n");
  fmt::print("| open it, first page | {} | {:.0f} | |\n", n, open_ms);

  const auto list = [&](std::string_view name, FeatureQuery query, double depth) {
    query.offset = 0;
    const std::int64_t total = atlas.list(query).n_total;
    query.offset = std::max<std::int64_t>(0, static_cast<std::int64_t>(depth * double(total)) - 50);
    report(name, [&](int) { return atlas.list(query).n_total; });
  };
  list("all by score, first page", {}, 0);
  list("all by score, middle page", {}, 0.5);
  list("all by score, last page", {}, 1);
  list("all by place, last page", {.order = FeatureOrder::place}, 1);
  list("domain, score range, by score, middle",
       {.domains = {"terror"}, .min_score = 0.2, .max_score = 0.6}, 0.5);
  list("subclass, by effect, last", {.subclass = "s1", .order = FeatureOrder::effect}, 1);
  list("layer, density range, by density, first",
       {.layer = 7, .min_density = 1e-5, .max_density = 1e-3, .order = FeatureOrder::density}, 0);
  list("site, explained, by max activation, last",
       {.site = "mlp_out.3", .explained = true, .order = FeatureOrder::max_activation}, 1);
  list("insufficient, by place, middle", {.sufficient = false, .order = FeatureOrder::place}, 0.5);
  list("text and domain, by score, first", {.text = english(300), .domains = {"politics"}}, 0);

  // Another word each time, all of about the same rank.
  const auto search = [&](std::string_view name, const auto& text) {
    report(name, [&](int i) {
      return atlas.list({.text = text(i), .order = FeatureOrder::relevance}).n_total;
    });
  };
  search("search, rare word", [](int i) { return english(9000 + i); });
  search("search, word of 1 in 200", [](int i) { return english(240 + i); });
  search("search, word of 1 in 20", [](int i) { return english(20 + i / 5); });
  search("search, two words", [](int i) { return english(30 + i) + " " + english(400 + i); });
  search("search, phrase",
         [](int i) { return fmt::format("\"{} {}\"", english(10 + i), english(20 + i)); });
  search("search, beginning", [](int i) { return fmt::format("w{}*", 150 + i); });
  search("search, Chinese word", [](int i) { return chinese(300 + i); });
  search("search, Hindi word", [](int i) { return hindi(300 + i); });
  search("search, the commonest word", [](int) { return english(1); });
  report("counts of all", [&](int) { return atlas.counts().n_features; });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: bench_atlas FILE.sqlite [features]\n");
    return 2;
  }
  try {
    int n_features = 1'000'000;
    if (argc > 2) {
      const std::string_view number = argv[2];
      std::from_chars(number.data(), number.data() + number.size(), n_features);
    }
    if (!fs::exists(argv[1])) make_atlas(argv[1], n_features);
    measure(argv[1]);
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}
