// Which families there are.
#include <array>
#include <fmt/format.h>
#include <string_view>

#include "base/error.h"
#include "formats/json.h"
#include "model/families/family.h"
#include "model/families/refused_settings.h"

namespace safesail {
namespace {

struct ConfigReader {
  std::string_view model_type;
  ModelPlan (*read)(const JsonObject&);
};

constexpr std::array kConfigReaders{
    ConfigReader{"gemma2", gemma2_from_config},      ConfigReader{"gemma3", gemma3_from_config},
    ConfigReader{"gemma3_text", gemma3_from_config}, ConfigReader{"gpt2", gpt2_from_config},
    ConfigReader{"gpt_neox", gpt_neox_from_config},  ConfigReader{"llama", llama_from_config},
    ConfigReader{"mistral", mistral_from_config},    ConfigReader{"qwen2", qwen2_from_config},
    ConfigReader{"qwen3", qwen3_from_config},
};

struct GgufReader {
  std::string_view architecture;
  ModelPlan (*read)(const GgufFile&);
};

constexpr std::array kGgufReaders{
    GgufReader{"gemma2", gemma2_from_gguf}, GgufReader{"gemma3", gemma3_from_gguf},
    GgufReader{"gpt2", gpt2_from_gguf},     GgufReader{"gptneox", gpt_neox_from_gguf},
    GgufReader{"llama", llama_from_gguf},   GgufReader{"qwen2", qwen2_from_gguf},
    GgufReader{"qwen3", qwen3_from_gguf},
};

template <class Readers, class Name>
[[noreturn]] void unknown(std::string_view where, std::string_view key, std::string_view found,
                          const Readers& readers, Name name_of_reader) {
  std::string known;
  for (const auto& reader : readers)
    known += fmt::format("{}{}", known.empty() ? "" : ", ", name_of_reader(reader));
  bad_input(where,
            fmt::format("expected a known model family as \"{}\", got {}", key, printable(found)),
            "use a model of one of the families " + known);
}

}  // namespace

ModelPlan plan_from_config(std::string_view config_json, const std::string& where) {
  const Json parsed = parse_json(config_json, where);
  const JsonObject config(parsed, where);
  const std::string type = config.get<std::string>("model_type");
  for (const ConfigReader& reader : kConfigReaders)
    if (reader.model_type == type) {
      refuse_settings(config);
      ModelPlan plan = reader.read(config);
      check_spec(plan.spec, where);
      return plan;
    }
  unknown(where, "model_type", type, kConfigReaders, [](const auto& r) { return r.model_type; });
}

ModelPlan plan_from_gguf(const GgufFile& file) {
  const std::string where = file.path().string();
  const auto& architecture = file.get<std::string>("general.architecture");
  for (const GgufReader& reader : kGgufReaders)
    if (reader.architecture == architecture) {
      refuse_settings(file);
      ModelPlan plan = reader.read(file);
      check_spec(plan.spec, where);
      return plan;
    }
  unknown(where, "general.architecture", architecture, kGgufReaders,
          [](const auto& r) { return r.architecture; });
}

}  // namespace safesail
