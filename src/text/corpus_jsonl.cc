// JSON objects, one a line, or all of them as the items of one array.
#include <algorithm>
#include <fmt/format.h>

#include "base/error.h"
#include "formats/json.h"
#include "formats/line_reader.h"
#include "text/corpus_files.h"

namespace safesail {
namespace {

constexpr std::size_t kMaxItemBytes = LineReader::kDefaultMaxBytes;

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/// The items of an array at the top of a file, as they stand there.
class ArrayItems {
 public:
  explicit ArrayItems(const fs::path& path) : stream_(path) {}

  /// Whether the file is an array at all; asked once, before next().
  bool begin() {
    skip_blanks_and_mark();
    if (!fill() || buffer_[at_] != '[') return false;
    ++at_;
    return true;
  }

  /// The next item; nothing at the end of the array.
  std::optional<std::string_view> next() {
    item_.clear();
    int depth = 0;
    bool in_string = false, escaped = false;
    for (; fill(); ++at_) {
      const char c = buffer_[at_];
      if (!in_string && depth == 0 && (c == ',' || c == ']')) {
        if (c == ']' && item_.empty()) return std::nullopt;
        if (c == ',') ++at_;  // the bracket is met again
        ++number_;
        return item_;
      }
      if (item_.empty() && is_blank(c)) continue;
      if (item_.size() == kMaxItemBytes) bad("expected items of at most 64 MiB, got a longer one");
      item_ += c;
      if (in_string) {
        in_string = escaped || c != '"';
        escaped = !escaped && c == '\\';
      } else {
        in_string = c == '"';
        depth += (c == '{' || c == '[') - (c == '}' || c == ']');
      }
    }
    bad("expected the array to be closed, got the end of the file");
  }

  std::uint64_t number() const { return number_; }

 private:
  /// Bytes to read at at_; false at the end of the file.
  bool fill() {
    if (at_ < buffer_.size()) return true;
    buffer_.resize(std::size_t{64} << 10);
    buffer_.resize(stream_.read(buffer_));
    at_ = 0;
    return !buffer_.empty();
  }

  void skip_blanks_and_mark() {
    if (fill() && buffer_.starts_with("\xef\xbb\xbf")) at_ = 3;
    while (fill() && is_blank(buffer_[at_])) ++at_;
  }

  [[noreturn]] void bad(std::string_view problem) const {
    bad_input(fmt::format("{}: item {}", stream_.where(), number_ + 1), problem,
              "fetch the file again, or write one object a line");
  }

  ByteStream stream_;
  std::string buffer_, item_;
  std::size_t at_ = 0;
  std::uint64_t number_ = 0;
};

// Fields that are not read may hold what Python writes for a number that is none.
constexpr JsonLimits kLimits{.non_finite = true};

/// What a field of an object gives.
void read_object(std::string_view text, const std::string& field, const Tokenizer* tokenizer,
                 FileItem& item) {
  const Json json = parse_json(text, "line", kLimits);
  if (!json.is_object()) {
    item.bad = fmt::format("expected an object, got {}", json.type_name());
    return;
  }
  auto value = json.find(field);
  if (value == json.end()) value = json.find(fallback_field(field));
  if (value == json.end())
    item.bad = fmt::format("expected the field {}, got none", printable(field));
  else if (value->is_string())
    take_text(item, value->get<std::string>());
  else if (value->is_array())
    // Templates may walk over the keys of a message, so their order counts.
    take_messages(item, dump_json(parse_ordered_json(text, "line", kLimits)[value.key()]),
                  tokenizer);
  else
    item.bad = fmt::format("expected text or messages in the field {}, got {}", printable(field),
                           value->type_name());
}

class JsonReader final : public CorpusReader {
 public:
  JsonReader(const fs::path& path, const CorpusConfig& config, const Tokenizer* tokenizer)
      : array_(path),
        is_array_(array_.begin()),
        lines_(ByteStream(path)),
        field_(config.field),
        tokenizer_(tokenizer) {}

  std::optional<FileItem> next() override {
    const std::optional<std::string_view> text = is_array_ ? array_.next() : next_line();
    if (!text) return std::nullopt;
    FileItem item;
    item.place = is_array_ ? array_.number() : lines_.line_number();
    try {
      read_object(*text, field_, tokenizer_, item);
    } catch (const Error& error) {
      item.bad = error.problem();
    }
    return item;
  }

 private:
  std::optional<std::string_view> next_line() {
    std::optional<std::string_view> line;
    do line = lines_.next();
    while (line && std::ranges::all_of(*line, is_blank));
    return line;
  }

  ArrayItems array_;
  const bool is_array_;
  LineReader lines_;
  const std::string field_;
  const Tokenizer* tokenizer_;
};

}  // namespace

std::unique_ptr<CorpusReader> open_jsonl(const fs::path& path, const CorpusConfig& config,
                                         const Tokenizer* tokenizer) {
  return std::make_unique<JsonReader>(path, config, tokenizer);
}

}  // namespace safesail
