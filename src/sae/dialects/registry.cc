#include <array>
#include <fmt/format.h>

#include "base/error.h"
#include "formats/json.h"
#include "sae/dialects/dialect.h"

namespace safesail {
namespace {

bool is_torch_file(const fs::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".pt" || extension == ".pth" || extension == ".bin";
}

std::string known_dialects() {
  std::string text;
  for (const Dialect& dialect : all_dialects())
    text += fmt::format("\n     {}: {}", dialect.name, dialect.files);
  return text;
}

}  // namespace

SaeSource::SaeSource(fs::path path, fs::path called)
    : path_(std::move(path)), called_(fs::weakly_canonical(called.empty() ? path_ : called)) {
  if (!fs::exists(path_))
    bad_input(path_.string(), "expected a file or folder, got none", "check the path");
  is_folder_ = fs::is_directory(path_);
  if (!is_folder_ && is_torch_file(path_)) torch_ = std::make_shared<const TorchFile>(path_);
}

bool SaeSource::has(std::string_view name) const {
  std::error_code ignored;
  return is_folder_ && fs::is_regular_file(path_ / name, ignored);
}

const PickleDict* SaeSource::torch_dict() const {
  return torch_ == nullptr ? nullptr : torch_->root().dict();
}

std::span<const Dialect> all_dialects() {
  static const std::array kDialects = {
      kSafesailDialect,   kSafeSailDialect,  kSaelensDialect,
      kSparsifyDialect,   kOpenmossDialect,  kLlamaScopeDialect,
      kGemmaScopeDialect, kQwenScopeDialect, kDictionaryLearningDialect,
  };
  return kDialects;
}

const Dialect& find_dialect(std::string_view name) {
  for (const Dialect& dialect : all_dialects())
    if (dialect.name == name) return dialect;
  bad_input("format", fmt::format("expected a known SAE format, got {}", printable(name)),
            "name one of these:" + known_dialects());
}

const Dialect& detect_dialect(const SaeSource& source) {
  for (const Dialect& dialect : all_dialects())
    if (dialect.detect(source)) return dialect;
  bad_input(source.path().string(), "expected an SAE of a known format, got none of them",
            "give a file or folder like these, or name the format with --from:" + known_dialects());
}

}  // namespace safesail
