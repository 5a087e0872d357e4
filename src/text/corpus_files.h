// The files of a corpus: which they are, and what stands in each.
//
// Internal to the room. A reader is a forward stream over one file, used by one thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "text/corpus.h"

namespace safesail {

struct CorpusFile {
  fs::path path;
  std::uint32_t part = 0;  ///< place in `paths` of the first that names it
};

/// Existing files that `paths` name (files, folders, globs), sorted, each once. A path without any
/// is an input error.
std::vector<CorpusFile> find_corpus_files(const std::vector<std::string>& paths);

/// One document of a file, or the reason why there is none at its place.
struct FileItem {
  std::string text;
  bool is_chat = false;
  std::string bad;          ///< empty, or the reason
  std::uint64_t place = 0;  ///< line or row, from 1
};

class CorpusReader {
 public:
  virtual ~CorpusReader() = default;
  /// The next document or bad line, or nothing at the end. A file that is broken as a whole is an
  /// input error.
  virtual std::optional<FileItem> next() = 0;
};

/// The reader for the file's format, as its name tells. `config` and `tokenizer` outlive it.
std::unique_ptr<CorpusReader> open_corpus_file(const fs::path& path, const CorpusConfig& config,
                                               const Tokenizer* tokenizer);

std::unique_ptr<CorpusReader> open_jsonl(const fs::path& path, const CorpusConfig& config,
                                         const Tokenizer* tokenizer);
std::unique_ptr<CorpusReader> open_plain_text(const fs::path& path, const CorpusConfig& config);
std::unique_ptr<CorpusReader> open_parquet(const fs::path& path, const CorpusConfig& config,
                                           const Tokenizer* tokenizer);

/// Fills `item` with the text of `value`: a string, or a message list that the template renders.
void take_text(FileItem& item, std::string text);
void take_messages(FileItem& item, std::string_view json, const Tokenizer* tokenizer);

/// The field that stands in for `field` where that is missing: "messages" for "text".
std::string_view fallback_field(std::string_view field);

}  // namespace safesail
