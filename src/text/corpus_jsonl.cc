// One JSON object a line.
#include <fmt/format.h>

#include "base/error.h"
#include "formats/json.h"
#include "formats/line_reader.h"
#include "text/corpus_files.h"

namespace safesail {
namespace {

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t") == line.npos;
}

class JsonlReader final : public CorpusReader {
 public:
  JsonlReader(const fs::path& path, const CorpusConfig& config, const Tokenizer* tokenizer)
      : lines_(ByteStream(path)), field_(config.field), tokenizer_(tokenizer) {}

  std::optional<FileItem> next() override {
    std::optional<std::string_view> line;
    do line = lines_.next();
    while (line && is_blank(*line));
    if (!line) return std::nullopt;
    FileItem item;
    item.place = lines_.line_number();
    try {
      read(parse_json(*line, "line"), item);
    } catch (const Error& error) {
      item.bad = error.problem();
    }
    return item;
  }

 private:
  void read(Json json, FileItem& item) const {
    if (!json.is_object()) {
      item.bad = fmt::format("expected an object, got {}", json.type_name());
      return;
    }
    auto value = json.find(field_);
    if (value == json.end()) value = json.find(std::string(fallback_field(field_)));
    if (value == json.end())
      item.bad = fmt::format("expected the field {}, got none", printable(field_));
    else if (value->is_string())
      take_text(item, std::move(value->get_ref<std::string&>()));
    else if (value->is_array())
      take_messages(item, value->dump(), tokenizer_);
    else
      item.bad = fmt::format("expected text or messages in the field {}, got {}", printable(field_),
                             value->type_name());
  }

  LineReader lines_;
  const std::string field_;
  const Tokenizer* tokenizer_;
};

}  // namespace

std::unique_ptr<CorpusReader> open_jsonl(const fs::path& path, const CorpusConfig& config,
                                         const Tokenizer* tokenizer) {
  return std::make_unique<JsonlReader>(path, config, tokenizer);
}

}  // namespace safesail
