#include "model/identity.h"

#include <algorithm>
#include <fmt/format.h>
#include <vector>

#include "base/hash.h"
#include "text/tokenizer.h"

namespace safesail {
namespace {

constexpr std::string_view kProbe =
    "It's  2026, \xC3\xA9t\xC3\xA9:\n\t\xE4\xBD\xA0\xE5\xA5\xBD! f(x)=1000";

std::string hash_of_weights(const fs::path& model) {
  if (!fs::is_directory(model)) return hash_hex(MappedFile(model).bytes());
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(model))
    if (entry.path().extension() == ".safetensors" || entry.path().filename() == "config.json")
      files.push_back(entry.path());
  std::ranges::sort(files);
  std::string hashes;
  for (const fs::path& file : files) hashes += hash_hex(MappedFile(file).bytes());
  return hash_hex(hashes);
}

}  // namespace

const std::string& ModelIdentity::weights() const {
  if (!weights_) weights_ = hash_of_weights(path_);
  return *weights_;
}

const std::string& ModelIdentity::tokenizer() const {
  if (!tokenizer_) tokenizer_ = tokenizer_hash(Tokenizer::load(path_));
  return *tokenizer_;
}

std::string tokenizer_hash(const Tokenizer& tokenizer) {
  std::string text;
  for (std::int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    text += tokenizer.token(id);
    text += '\0';
  }
  for (const std::int32_t id : tokenizer.encode(kProbe, true).ids) text += fmt::format("{} ", id);
  return hash_hex(text);
}

}  // namespace safesail
