#include "text/gguf_pipelines.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "base/error.h"
#include "formats/gguf.h"
#include "formats/json.h"

namespace safesail {
namespace {

constexpr const char* kKey = "tokenizer.ggml.pre";

constexpr std::string_view kGpt2Pre =
    R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true})";
constexpr std::string_view kSmolLmPre =
    R"({"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},)"
    R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}]})";
constexpr std::string_view kLlama3Pre =
    R"RE({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":)RE"
    R"RE("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|)RE"
    R"RE( ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},)RE"
    R"RE("behavior":"Isolated","invert":false},)RE"
    R"RE({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]})RE";
constexpr std::string_view kQwen2Pre =
    R"RE({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":)RE"
    R"RE("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|)RE"
    R"RE( ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},)RE"
    R"RE("behavior":"Isolated","invert":false},)RE"
    R"RE({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":false,"use_regex":false}]})RE";

constexpr std::string_view kNfc = R"({"type":"NFC"})";

struct NamedPipeline {
  std::string_view pre;
  ByteLevelPipeline pipeline;
};

constexpr std::array<NamedPipeline, 7> kPipelines{{
    {"gpt-2", {"null", kGpt2Pre, false, false}},
    {"llama-bpe", {"null", kLlama3Pre, true, true}},
    {"llama3", {"null", kLlama3Pre, true, true}},
    {"llama-v3", {"null", kLlama3Pre, true, true}},
    {"mpt", {kNfc, kGpt2Pre, false, false}},  // GPT-NeoX, whose tokenizer MPT has
    {"qwen2", {kNfc, kQwen2Pre, false, false}},
    {"smollm", {"null", kSmolLmPre, false, false}},
}};

/// The name that today's converter would write; empty where nothing tells it.
std::string_view derived_pre(std::string_view architecture,
                             const std::vector<std::string>& tokens) {
  if (architecture == "gpt2") return "gpt-2";
  if (architecture == "gptneox") return "mpt";
  if (architecture == "qwen2" || architecture == "qwen3") return "qwen2";
  // Many models are "llama"; this token is Llama 3's.
  if (architecture == "llama" && std::ranges::find(tokens, "<|begin_of_text|>") != tokens.end())
    return "llama-bpe";
  return {};
}

}  // namespace

const ByteLevelPipeline& byte_level_pipeline(const GgufFile& file,
                                             const std::vector<std::string>& tokens) {
  constexpr std::string_view remedy =
      "convert the model again with a current llama.cpp, or give it as a Hugging Face folder: its "
      "tokenizer.json is "
      "read as it is";
  const auto* pre = file.find<std::string>(kKey);
  const bool says = pre != nullptr && !pre->empty() && *pre != "default";
  const auto* architecture = file.find<std::string>("general.architecture");
  const std::string_view name =
      says ? std::string_view(*pre)
           : derived_pre(architecture == nullptr ? std::string_view() : *architecture, tokens);
  std::string known;
  for (const NamedPipeline& one : kPipelines) {
    if (one.pre == name) return one.pipeline;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", one.pre);
  }
  if (says)
    bad_input(file.path().string(),
              fmt::format("expected {} to be one of {}, got {}", kKey, known, printable(*pre)),
              remedy);
  bad_input(file.path().string(),
            fmt::format("expected {}, which says how texts are split, got {}, and the architecture "
                        "{} with this vocabulary does not tell",
                        kKey, pre == nullptr ? "none" : printable(*pre),
                        architecture == nullptr ? "none" : printable(*architecture)),
            remedy);
}

}  // namespace safesail
