// How exports are written: a folder that appears whole or not at all, lines packed by gzip, and
// file names that cannot lead out of the folder.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/file.h"

namespace safesail {

/// Files are written under path(), a hidden neighbour of `target`; commit() renames it. `target`
/// must not exist. The destructor without commit() removes everything.
class OutputFolder {
 public:
  explicit OutputFolder(fs::path target);
  ~OutputFolder();
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

  const fs::path& path() const { return partial_; }
  void commit();

 private:
  fs::path target_, partial_;
};

/// A gzip file, written atomically.
class GzipFile {
 public:
  explicit GzipFile(const fs::path& path);
  ~GzipFile();
  GzipFile(const GzipFile&) = delete;
  GzipFile& operator=(const GzipFile&) = delete;

  void write_line(std::string_view line);
  void commit();

 private:
  void write(std::string_view bytes, bool is_last);
  struct Stream;
  AtomicFile file_;
  std::unique_ptr<Stream> stream_;
};

/// `name` as one component of a path: letters, digits, '.', '_' and '-' stay, everything else
/// becomes '_', as does a leading '.'; never empty, at most 120 bytes.
std::string safe_file_name(std::string_view name);

}  // namespace safesail
