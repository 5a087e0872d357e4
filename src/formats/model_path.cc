#include "formats/model_path.h"

#include <algorithm>
#include <fstream>
#include <string>

namespace safesail {

ModelPath kind_of_model(const fs::path& path) {
  std::error_code error;  // of a path that cannot be looked at: whoever opens it says why
  if (fs::is_directory(path, error)) return ModelPath::folder;
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
  if (extension == ".gguf") return ModelPath::gguf;
  if (!fs::is_regular_file(path, error)) return ModelPath::other;
  std::string start(4, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(start.data(), std::ssize(start));
  return file && start == "GGUF" ? ModelPath::gguf : ModelPath::other;
}

std::string name_of_model(const fs::path& path) {
  const fs::path last = path.has_filename() ? path.filename() : path.parent_path().filename();
  return (last.extension() == ".gguf" ? last.stem() : last).string();
}

}  // namespace safesail
