#include "text/corpus_files.h"

#include <algorithm>
#include <fmt/format.h>
#include <glob.h>
#include <iterator>

#include "base/error.h"
#include "base/extension.h"
#include "base/utf8.h"
#include "text/chat.h"

namespace safesail {
namespace {

enum class Format { jsonl, parquet, text };

bool is_packed(const fs::path& path) {
  return lower_extension(path) == ".gz" || lower_extension(path) == ".zst";
}

/// The extension below .gz or .zst, in small letters.
std::string inner_extension(const fs::path& path) {
  return lower_extension(is_packed(path) ? path.stem() : path);
}

Format format_of(const fs::path& path) {
  const std::string extension = inner_extension(path);
  if (extension == ".jsonl" || extension == ".ndjson" || extension == ".json") return Format::jsonl;
  if (extension == ".parquet") return Format::parquet;
  return Format::text;
}

bool is_known(const fs::path& path) {
  const std::string extension = inner_extension(path);
  return format_of(path) != Format::text || extension == ".txt" || extension == ".text";
}

/// The corpus files below a folder; other files and hidden ones are left alone.
std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> files;
  for (auto entry = fs::recursive_directory_iterator(folder);
       entry != fs::recursive_directory_iterator(); ++entry) {
    const bool hidden = entry->path().filename().string().starts_with('.');
    if (hidden && entry->is_directory()) entry.disable_recursion_pending();
    if (!hidden && entry->is_regular_file() && is_known(entry->path()))
      files.push_back(entry->path());
  }
  return files;
}

std::vector<fs::path> paths_matching(const std::string& pattern) {
  glob_t found{};
  std::vector<fs::path> paths;
  if (::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found) == 0)
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  return paths;
}

/// Where the component "**" begins; npos where there is none.
std::size_t any_depth(std::string_view pattern) {
  for (std::size_t at = pattern.find("**"); at != pattern.npos; at = pattern.find("**", at + 1))
    if ((at == 0 || pattern[at - 1] == '/') && (at + 2 == pattern.size() || pattern[at + 2] == '/'))
      return at;
  return pattern.npos;
}

/// A name that stands for itself in a pattern.
std::string quoted(const fs::path& path) {
  std::string quoted;
  for (const char c : path.string()) {
    if (c == '*' || c == '?' || c == '[' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted;
}

/// As in a shell, with ** for any number of folders, none among them; hidden ones are left alone.
std::vector<fs::path> files_matching(const std::string& pattern) {
  std::vector<fs::path> files;
  const std::size_t deep = any_depth(pattern);
  if (deep == pattern.npos) {
    for (fs::path& path : paths_matching(pattern))
      if (fs::is_regular_file(path)) files.push_back(std::move(path));
    return files;
  }
  const std::string rest = deep + 2 < pattern.size() ? pattern.substr(deep + 3) : "*";
  const auto take_from = [&](const fs::path& folder) {
    std::ranges::move(files_matching(quoted(folder / "") + rest), std::back_inserter(files));
  };
  for (const fs::path& top : paths_matching(deep == 0 ? "." : pattern.substr(0, deep))) {
    if (!fs::is_directory(top)) continue;
    take_from(deep == 0 ? fs::path() : top);
    for (auto entry =
             fs::recursive_directory_iterator(top, fs::directory_options::skip_permission_denied);
         entry != fs::recursive_directory_iterator(); ++entry) {
      if (!entry->is_directory()) continue;
      if (entry->path().filename().string().starts_with('.'))
        entry.disable_recursion_pending();
      else
        take_from(deep == 0 ? entry->path().lexically_normal() : entry->path());
    }
  }
  return files;
}

}  // namespace

std::vector<CorpusFile> find_corpus_files(const std::vector<std::string>& paths) {
  if (paths.empty())
    bad_input("corpus", "expected at least one path, got none", "name files, folders or globs");
  std::vector<CorpusFile> files;
  for (std::uint32_t part = 0; part < paths.size(); ++part) {
    const std::string& path = paths[part];
    std::vector<fs::path> found;
    // A file may have a star in its name: what exists is taken as it is written.
    if (fs::is_directory(path))
      found = files_below(path);
    else if (fs::exists(path))
      found = {path};
    else
      found = files_matching(path);
    if (found.empty())
      bad_input(path, "expected corpus files, got none",
                "correct the path; a folder needs .jsonl, .json, .parquet or .txt files, also .gz "
                "and .zst");
    for (fs::path& file : found) files.push_back({std::move(file), part});
  }
  std::ranges::stable_sort(files, {}, &CorpusFile::path);
  const auto same = [](const CorpusFile& a, const CorpusFile& b) { return a.path == b.path; };
  files.erase(std::unique(files.begin(), files.end(), same), files.end());
  return files;
}

std::unique_ptr<CorpusReader> open_corpus_file(const fs::path& path, const CorpusConfig& config,
                                               const Tokenizer* tokenizer) {
  switch (format_of(path)) {
    case Format::jsonl:
      return open_jsonl(path, config, tokenizer);
    case Format::parquet:
      if (is_packed(path))
        bad_input(path.string(), "expected parquet as it is, got it packed once more",
                  "unpack the file: parquet is compressed inside");
      return open_parquet(path, config, tokenizer);
    case Format::text:
      break;
  }
  return open_plain_text(path, config);
}

void take_text(FileItem& item, std::string text) {
  item.text = std::move(text);
  if (!is_utf8(item.text))
    item.bad = "expected UTF-8";
  else if (item.text.find_first_not_of(" \t\r\n") == std::string::npos)
    item.bad = "expected text, got an empty one";
}

void take_messages(FileItem& item, std::string_view json, const Tokenizer* tokenizer) {
  if (tokenizer == nullptr) {
    item.bad = "expected text, got messages, and there is no chat template to render them";
    return;
  }
  try {
    item.text = render_chat(*tokenizer, parse_messages(json, "messages"),
                            /*add_generation_prompt=*/false);
    item.is_chat = true;
  } catch (const Error& error) {
    item.bad = error.problem();
  }
}

std::string_view fallback_field(std::string_view field) {
  return field == "text" ? "messages" : field;
}

}  // namespace safesail
