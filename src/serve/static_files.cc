#include "serve/static_files.h"

#include <array>
#include <fmt/format.h>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/hash.h"

namespace safesail {
namespace {

constexpr std::size_t kMaxFiles = 2000;
constexpr std::uint64_t kMaxBytes = std::uint64_t{64} << 20;
constexpr std::string_view kHashedFolder = "/assets/";  // Vite's

constexpr std::array<std::pair<std::string_view, std::string_view>, 15> kTypes = {{
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".json", "application/json"},
    {".map", "application/json"},
    {".webmanifest", "application/manifest+json"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".webp", "image/webp"},
    {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
    {".wasm", "application/wasm"},
    {".txt", "text/plain; charset=utf-8"},
    {".md", "text/plain; charset=utf-8"},
}};

std::string type_of(const fs::path& path) {
  for (const auto& [ending, type] : kTypes)
    if (path.extension() == ending) return std::string(type);
  return "application/octet-stream";
}

}  // namespace

StaticFiles::StaticFiles(const fs::path& folder) {
  std::uint64_t n_bytes = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.symlink_status().type() != fs::file_type::regular) continue;
    n_bytes += entry.file_size();
    if (files_.size() == kMaxFiles || n_bytes > kMaxBytes)
      bad_input(folder.string(),
                fmt::format("expected the files of a page, got more than {} or {} MiB", kMaxFiles,
                            kMaxBytes >> 20),
                "name the folder that the page was built into");
    const std::string name = "/" + entry.path().lexically_relative(folder).generic_string();
    std::string bytes = read_file(entry.path(), kMaxBytes);
    const std::string tag = hash_hex(bytes);
    files_[name] = {KeptContent(std::move(bytes), type_of(entry.path())), tag,
                    name.starts_with(kHashedFolder)};
  }
  const auto index = files_.find("/index.html");
  if (index == files_.end())
    bad_input(folder.string(), "expected a page, got no index.html",
              "name the folder that the page was built into");
  files_["/"] = index->second;
}

void StaticFiles::answer(const httplib::Request& request, httplib::Response& response) const {
  const auto found = files_.find(request.path);
  if (found == files_.end()) {
    response.status = 404;
    return;
  }
  const File& file = found->second;
  response.set_header("Cache-Control",
                      file.is_immutable ? "public, max-age=31536000, immutable" : "no-cache");
  if (has_it(request, response, file.tag)) return;
  file.content.send(request, response);
}

void StaticFiles::mount(HttpServer& server) const {
  server.get_else([this](const auto& request, auto& response) { answer(request, response); });
}

void mount_no_page(HttpServer& server) {
  server.get_else([](const httplib::Request& request, httplib::Response& response) {
    if (request.path != "/") {
      response.status = 404;
      return;
    }
    response.set_content(
        "Safesail answers at /api/v1 (see /api/v1/openapi.json). Its page is not built here:\n"
        "run `make web` in the checkout, or name the folder of a built page with --web.\n",
        "text/plain; charset=utf-8");
  });
}

}  // namespace safesail
