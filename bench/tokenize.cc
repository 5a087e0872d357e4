// Tokens per second of the tokenizer on short documents, as one JSON line a case.
//   bench_tokenize MODEL CORPUS.jsonl [documents]
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <fmt/format.h>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/corpus.h"
#include "text/tokenizer.h"

namespace {

using namespace safesail;

constexpr int kRepeats = 5;

template <class Body>
void report(std::string_view name, std::size_t n_bytes, const Body& body) {
  std::size_t n_tokens = 0;
  std::vector<double> seconds;
  for (int i = 0; i < kRepeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    n_tokens = body();
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::ranges::sort(seconds);
  fmt::print(
      "{{\"case\": \"{}\", \"tokens\": {}, \"median_tokens_per_s\": {:.0f}, "
      "\"best_tokens_per_s\": {:.0f}, \"median_megabytes_per_s\": {:.1f}}}\n",
      name, n_tokens, double(n_tokens) / seconds[kRepeats / 2], double(n_tokens) / seconds.front(),
      1e-6 * double(n_bytes) / seconds[kRepeats / 2]);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: bench_tokenize MODEL CORPUS.jsonl [documents]\n");
    return 2;
  }
  try {
    std::size_t n_documents = 20'000;
    if (argc > 3) {
      const std::string_view number = argv[3];
      std::from_chars(number.data(), number.data() + number.size(), n_documents);
    }
    const Tokenizer tokenizer = Tokenizer::load(argv[1]);
    Corpus corpus({.paths = {argv[2]}, .shuffle_window = 0}, nullptr);
    std::vector<std::string> texts;
    std::size_t n_bytes = 0;
    while (texts.size() < n_documents) {
      auto document = corpus.next();
      if (!document) break;
      n_bytes += document->text.size();
      texts.push_back(std::move(document->text));
    }
    report("tokenize, ids in batches", n_bytes,
           [&] { return tokenizer.encode_ids(texts, false).ids.size(); });
    report("tokenize, one thread, with offsets", n_bytes, [&] {
      std::size_t n = 0;
      for (const std::string& text : texts) n += tokenizer.encode(text, false).ids.size();
      return n;
    });
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
