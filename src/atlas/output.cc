#include "atlas/output.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <limits>
#include <zlib.h>

#include "base/error.h"
#include "base/random_name.h"

namespace safesail {

OutputFolder::OutputFolder(fs::path target) : target_(std::move(target)) {
  // "out/" names the same folder as "out".
  if (!target_.has_filename()) target_ = target_.parent_path();
  if (fs::exists(target_))
    bad_input(target_.string(), "it exists already", "name a new folder, or remove this one");
  partial_ = target_.parent_path() /
             fmt::format(".{}.partial.{}", target_.filename().string(), random_name());
  std::error_code error;
  fs::create_directories(partial_, error);
  if (error)
    failed(partial_.string(), "cannot make the folder: " + error.message(),
           "choose a folder that you may write to");
}

OutputFolder::~OutputFolder() {
  std::error_code ignored;
  if (!partial_.empty()) fs::remove_all(partial_, ignored);
}

void OutputFolder::commit() {
  std::error_code error;
  fs::rename(partial_, target_, error);
  if (error)
    failed(target_.string(), "cannot rename the finished folder: " + error.message(),
           "choose another folder");
  partial_.clear();
}

struct GzipFile::Stream {
  z_stream z{};
};

GzipFile::GzipFile(const fs::path& path) : file_(path), stream_(std::make_unique<Stream>()) {
  constexpr int kGzip = 15 + 16;
  if (deflateInit2(&stream_->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) !=
      Z_OK)
    failed(path.string(), "zlib has no memory", "close other programs");
}

GzipFile::~GzipFile() {
  deflateEnd(&stream_->z);
}

void GzipFile::write(std::string_view bytes, bool is_last) {
  std::array<char, 1 << 16> buffer;
  z_stream& z = stream_->z;
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  SAFESAIL_CHECK(bytes.size() <= std::numeric_limits<uInt>::max());
  z.avail_in = static_cast<uInt>(bytes.size());
  do {
    z.next_out = reinterpret_cast<Bytef*>(buffer.data());
    z.avail_out = buffer.size();
    deflate(&z, is_last ? Z_FINISH : Z_NO_FLUSH);
    file_.write(std::string_view(buffer.data(), buffer.size() - z.avail_out));
  } while (z.avail_out == 0);
}

void GzipFile::write_line(std::string_view line) {
  write(line, false);
  write("\n", false);
}

void GzipFile::commit() {
  write({}, true);
  file_.commit();
}

std::string safe_file_name(std::string_view name) {
  constexpr std::size_t kMaxBytes = 120;
  std::string safe(name.substr(0, kMaxBytes));
  for (char& c : safe) {
    const bool kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '-';
    if (!kept) c = '_';
  }
  if (safe.empty() || safe[0] == '.') safe.insert(0, "_");
  return safe;
}

}  // namespace safesail
