#include "text/corpus.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/rng.h"
#include "text/corpus_files.h"

namespace safesail {
namespace {

constexpr std::size_t kFirstBad = 5;
/// The share of bad lines means little before this many.
constexpr std::uint64_t kEnoughToJudge = 1000;
/// A shuffle window ends here whatever its number of documents, so that long ones fit the memory.
constexpr std::size_t kWindowBytes = std::size_t{256} << 20;

}  // namespace

struct Corpus::Impl {
  CorpusConfig config;
  const Tokenizer* tokenizer;
  std::vector<CorpusFile> files;
  std::size_t next_file = 0;
  std::unique_ptr<CorpusReader> reader;
  CorpusReport report;
  std::uint64_t next_id = 0;
  Rng rng;
  std::vector<Document> window;  // shuffled, given from the back
  bool at_end = false;

  Impl(CorpusConfig given, const Tokenizer* given_tokenizer)
      : config(std::move(given)),
        tokenizer(given_tokenizer),
        files(find_corpus_files(config.paths)),
        rng(config.seed, "corpus shuffle") {}

  /// The next good document in file order.
  std::optional<Document> read() {
    while (!at_end) {
      if (!reader) {
        if (next_file == files.size()) {
          finish();
          break;
        }
        reader = open_corpus_file(files[next_file++].path, config, tokenizer);
      }
      std::optional<FileItem> item = reader->next();
      if (!item)
        reader.reset();
      else if (!item->bad.empty())
        count_bad(
            fmt::format("{}:{}: {}", files[next_file - 1].path.string(), item->place, item->bad));
      else {
        ++report.n_documents;
        return Document{next_id++, std::move(item->text), item->is_chat, files[next_file - 1].part};
      }
    }
    return std::nullopt;
  }

  void count_bad(const std::string& reason) {
    ++report.n_bad;
    if (report.first_bad.size() < kFirstBad) report.first_bad.push_back(reason);
    if (at_end || report.n_bad + report.n_documents >= kEnoughToJudge) check_bad_share();
  }

  void check_bad_share() const {
    const std::uint64_t n = report.n_bad + report.n_documents;
    if (static_cast<double>(report.n_bad) <= config.max_bad_share * static_cast<double>(n)) return;
    bad_input("corpus",
              fmt::format("expected at most {:.3g} % bad lines, got {} of {}:\n  {}",
                          100 * config.max_bad_share, report.n_bad, n,
                          fmt::join(report.first_bad, "\n  ")),
              "correct the files or the name of the field, or raise max_bad_share");
  }

  void finish() {
    at_end = true;
    check_bad_share();
    if (report.n_documents == 0)
      bad_input(files.front().path.string(), "expected documents, got none", "check the paths");
  }

  bool refill_window() {
    std::size_t n_bytes = 0;
    while (window.size() < config.shuffle_window && n_bytes < kWindowBytes) {
      std::optional<Document> document = read();
      if (!document) break;
      n_bytes += document->text.size();
      window.push_back(std::move(*document));
    }
    shuffle(window, rng);
    return !window.empty();
  }
};

std::vector<std::string> part_names(const CorpusConfig& config) {
  std::vector<std::string> names;
  for (const std::string& path : config.paths) {
    const fs::path part = path;
    names.push_back((part.has_filename() ? part : part.parent_path()).filename().string());
  }
  return names;
}

void warn_of_bad_lines(const CorpusReport& report, Reporter& reporter) {
  if (report.n_bad == 0) return;
  reporter.warn(fmt::format("left out {} bad lines of {}; the first:\n  {}", report.n_bad,
                            report.n_bad + report.n_documents,
                            fmt::join(report.first_bad, "\n  ")));
}

void require_corpus_files(const CorpusConfig& config) {
  find_corpus_files(config.paths);
}

Corpus::Corpus(CorpusConfig config, const Tokenizer* tokenizer)
    : impl_(std::make_unique<Impl>(std::move(config), tokenizer)) {}
Corpus::~Corpus() = default;
Corpus::Corpus(Corpus&&) noexcept = default;

std::optional<Document> Corpus::next() {
  if (impl_->config.shuffle_window == 0) return impl_->read();
  if (impl_->window.empty() && !impl_->refill_window()) return std::nullopt;
  Document document = std::move(impl_->window.back());
  impl_->window.pop_back();
  return document;
}

void Corpus::reject(std::uint64_t id, std::string_view reason) {
  --impl_->report.n_documents;
  impl_->count_bad(fmt::format("document {}: {}", id, reason));
}

const CorpusReport& Corpus::report() const {
  return impl_->report;
}

}  // namespace safesail
