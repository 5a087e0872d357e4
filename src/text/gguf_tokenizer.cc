// GGUF metadata -> tokenizer.json. llama.cpp's converter drops the pipeline and keeps the
// vocabulary with the name of the pipeline; this puts the pipeline back.
#include <algorithm>
#include <fmt/format.h>
#include <unordered_map>

#include "base/error.h"
#include "formats/gguf.h"
#include "text/gguf_pipelines.h"
#include "text/tokenizer_source.h"

namespace safesail {
namespace {

constexpr std::string_view kPrefix = "tokenizer.ggml.";
// Every way to split every piece is looked up: a file may not ask for more than its size pays for.
// Published vocabularies have pieces of up to 100 bytes, and two merges a piece.
constexpr std::size_t kMaxPieceBytes = 1024, kMaxMergesAPiece = 32;

std::string key_of(std::string_view name) {
  return fmt::format("{}{}", kPrefix, name);
}

/// llama.cpp's llama_token_type.
enum TokenType : std::int64_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4 };

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\')
      out += {'\\', c};
    else if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<int>(c));
    else
      out += c;
  }
  out += '"';
}

struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<std::int64_t> types;
};

Vocabulary read_vocabulary(const GgufFile& file) {
  Vocabulary vocabulary;
  vocabulary.tokens = file.get<std::vector<std::string>>(key_of("tokens"));
  if (const auto* types = file.find<std::vector<std::int64_t>>(key_of("token_type")))
    vocabulary.types = *types;
  else
    vocabulary.types.assign(vocabulary.tokens.size(), kNormal);
  if (vocabulary.types.size() != vocabulary.tokens.size())
    bad_input(file.path().string(),
              fmt::format("expected one {}token_type for each of {} tokens, got {}", kPrefix,
                          vocabulary.tokens.size(), vocabulary.types.size()),
              "fetch the file again");
  return vocabulary;
}

/// "vocab":{...} of the model.
void append_vocab(std::string& out, const Vocabulary& vocabulary) {
  out += R"("vocab":{)";
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (id > 0) out += ',';
    append_quoted(out, vocabulary.tokens[id]);
    out += fmt::format(":{}", id);
  }
  out += '}';
}

/// "added_tokens":[...]: control tokens are special; user-defined ones are only never split.
void append_added_tokens(std::string& out, const Vocabulary& vocabulary) {
  out += R"("added_tokens":[)";
  bool first = true;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::int64_t type = vocabulary.types[id];
    if (type != kControl && type != kUserDefined && type != kUnknown) continue;
    if (!std::exchange(first, false)) out += ',';
    out += fmt::format(R"({{"id":{},"content":)", id);
    append_quoted(out, vocabulary.tokens[id]);
    out += fmt::format(
        R"(,"single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":{}}})",
        type != kUserDefined);
  }
  out += ']';
}

std::string byte_level_json(const GgufFile& file, const Vocabulary& vocabulary,
                            const ByteLevelPipeline& pipeline) {
  std::string json = R"({"version":"1.0",)";
  append_added_tokens(json, vocabulary);
  json += fmt::format(
      R"(,"normalizer":{},"pre_tokenizer":{},)"
      R"("decoder":{{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}},)"
      R"("model":{{"type":"BPE","ignore_merges":{},)",
      pipeline.normalizer, pipeline.pre_tokenizer, pipeline.ignore_merges);
  append_vocab(json, vocabulary);
  json += R"(,"merges":[)";
  bool first = true;
  for (const std::string& merge : file.get<std::vector<std::string>>(key_of("merges"))) {
    if (!std::exchange(first, false)) json += ',';
    append_quoted(json, merge);
  }
  json += "]}}";
  return json;
}

/// A piece that two other pieces make.
struct Merge {
  std::string_view left, right;
  double score;
  std::size_t left_length, right_length;  ///< in characters
};

std::size_t n_characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

/// SentencePiece keeps no merges: any two neighbours whose union is a piece may merge, best score
/// first. Written out as the list that transformers' converter makes: best score first, then the
/// longest left and right part, then the order of ids.
std::vector<Merge> merges_of(const Vocabulary& vocabulary, const std::vector<double>& scores,
                             const std::string& where) {
  std::unordered_map<std::string_view, std::size_t> ids;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id)
    ids.emplace(vocabulary.tokens[id], id);

  std::vector<Merge> merges;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string_view piece = vocabulary.tokens[id];
    if (piece.size() > kMaxPieceBytes)
      bad_input(where,
                fmt::format("expected pieces of at most {} bytes, got one of {}", kMaxPieceBytes,
                            piece.size()),
                "fetch the file again");
    // The converters give special pieces a score of their own; in the model they stand first.
    const double score = vocabulary.types[id] == kNormal ? scores[id] : 0;
    struct Split {
      std::size_t left_id, right_id, at;
    };
    std::vector<Split> splits;
    for (std::size_t at = 1; at < piece.size(); ++at) {
      const auto left = ids.find(piece.substr(0, at));
      if (left == ids.end()) continue;
      const auto right = ids.find(piece.substr(at));
      if (right != ids.end()) splits.push_back({left->second, right->second, at});
    }
    std::sort(splits.begin(), splits.end(), [](const Split& a, const Split& b) {
      return std::pair(a.left_id, a.right_id) < std::pair(b.left_id, b.right_id);
    });
    for (const Split& split : splits) {
      const auto left = piece.substr(0, split.at), right = piece.substr(split.at);
      merges.push_back({left, right, score, n_characters(left), n_characters(right)});
    }
    if (merges.size() > kMaxMergesAPiece * vocabulary.tokens.size())
      bad_input(where,
                fmt::format("expected at most {} merges a piece, got more", kMaxMergesAPiece),
                "fetch the file again");
  }
  std::stable_sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return std::tuple(a.score, a.left_length, a.right_length) >
           std::tuple(b.score, b.left_length, b.right_length);
  });
  return merges;
}

std::string sentence_piece_json(const GgufFile& file, Vocabulary vocabulary) {
  const auto& scores = file.get<std::vector<double>>(key_of("scores"));
  if (scores.size() != vocabulary.tokens.size())
    bad_input(file.path().string(),
              fmt::format("expected one {}scores for each of {} tokens, got {}", kPrefix,
                          vocabulary.tokens.size(), scores.size()),
              "fetch the file again");
  // The converter wrote the user-defined pieces with plain spaces.
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (vocabulary.types[id] != kUserDefined) continue;
    std::string spelt;
    for (const char c : vocabulary.tokens[id])
      if (c == ' ')
        spelt += "▁";
      else
        spelt += c;
    vocabulary.tokens[id] = std::move(spelt);
  }

  const bool* prefix = file.find<bool>(key_of("add_space_prefix"));
  const bool add_prefix = prefix == nullptr || *prefix;
  const auto* unknown = file.find<std::int64_t>(key_of("unknown_token_id"));
  const std::size_t unknown_id = unknown == nullptr ? 0 : static_cast<std::size_t>(*unknown);
  if (unknown_id >= vocabulary.tokens.size())
    bad_input(file.path().string(),
              fmt::format("expected {}unknown_token_id below {}, got {}", kPrefix,
                          vocabulary.tokens.size(), *unknown),
              "fetch the file again");

  std::string json = R"({"version":"1.0",)";
  append_added_tokens(json, vocabulary);
  json += add_prefix ? R"(,"normalizer":{"type":"Sequence","normalizers":[)"
                       R"({"type":"Prepend","prepend":"▁"},)"
                       R"({"type":"Replace","pattern":{"String":" "},"content":"▁"}]})"
                     : R"(,"normalizer":{"type":"Replace","pattern":{"String":" "},"content":"▁"})";
  json += R"(,"decoder":{"type":"Sequence","decoders":[)"
          R"({"type":"Replace","pattern":{"String":"▁"},"content":" "},)"
          R"({"type":"ByteFallback"},{"type":"Fuse"})";
  if (add_prefix) json += R"(,{"type":"Strip","content":" ","start":1,"stop":0})";
  json += R"(]},"model":{"type":"BPE","fuse_unk":true,"byte_fallback":true,"unk_token":)";
  append_quoted(json, vocabulary.tokens[unknown_id]);
  json += ',';
  append_vocab(json, vocabulary);
  json += R"(,"merges":[)";
  bool first = true;
  for (const Merge& merge : merges_of(vocabulary, scores, file.path().string())) {
    json += std::exchange(first, false) ? "[" : ",[";
    append_quoted(json, merge.left);
    json += ',';
    append_quoted(json, merge.right);
    json += ']';
  }
  json += "]}}";
  return json;
}

/// The keys of tokenizer_config.json that the file's metadata tell.
Json config_of(const GgufFile& file, const Vocabulary& vocabulary) {
  Json config = Json::object();
  const auto name = [&](const char* key, const char* id_key) {
    const auto* id = file.find<std::int64_t>(key_of(id_key));
    if (id == nullptr) return;
    if (*id < 0 || *id >= std::ssize(vocabulary.tokens))
      bad_input(file.path().string(),
                fmt::format("expected {}{} in [0, {}), got {}", kPrefix, id_key,
                            vocabulary.tokens.size(), *id),
                "fetch the file again");
    config[key] = vocabulary.tokens[*id];
  };
  name("bos_token", "bos_token_id");
  name("eos_token", "eos_token_id");
  name("unk_token", "unknown_token_id");
  name("pad_token", "padding_token_id");
  return config;
}

AddedEnds ends_of(const GgufFile& file, bool add_bos) {
  const bool *bos = file.find<bool>(key_of("add_bos_token")),
             *eos = file.find<bool>(key_of("add_eos_token"));
  return {.bos = bos == nullptr ? add_bos : *bos, .eos = eos != nullptr && *eos};
}

}  // namespace

TokenizerSource read_gguf_tokenizer(const GgufFile& file) {
  TokenizerSource source;
  source.where = file.path().string();
  if (const auto* text = file.find<std::string>("tokenizer.chat_template"))
    source.chat_template = *text;

  const auto& model = file.get<std::string>(key_of("model"));
  Vocabulary vocabulary = read_vocabulary(file);
  if (model == "gpt2") {
    const ByteLevelPipeline& pipeline = byte_level_pipeline(file, vocabulary.tokens);
    source.config = config_of(file, vocabulary);
    source.ends = ends_of(file, pipeline.add_bos);
    source.json = byte_level_json(file, vocabulary, pipeline);
  } else if (model == "llama") {
    source.config = config_of(file, vocabulary);
    source.ends = ends_of(file, /*add_bos=*/true);
    source.json = sentence_piece_json(file, std::move(vocabulary));
  } else {
    bad_input(
        source.where,
        fmt::format("expected {}model to be gpt2 or llama, got {}", kPrefix, printable(model)),
        "give the model as a Hugging Face folder: its tokenizer.json is read as it is");
  }
  return source;
}

}  // namespace safesail
