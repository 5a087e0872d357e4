// The model families, one file each. To add one: its file, its two functions here, its lines in
// registry.cc, a golden model in scripts/golden/make_model_golden.py.
#pragma once

#include "formats/gguf.h"
#include "formats/json.h"
#include "model/families/plan.h"

namespace safesail {

ModelPlan llama_from_config(const JsonObject& config);
ModelPlan mistral_from_config(const JsonObject& config);
ModelPlan llama_from_gguf(const GgufFile& file);
ModelPlan qwen2_from_config(const JsonObject& config);
ModelPlan qwen2_from_gguf(const GgufFile& file);
ModelPlan qwen3_from_config(const JsonObject& config);
ModelPlan qwen3_from_gguf(const GgufFile& file);
ModelPlan gemma2_from_config(const JsonObject& config);
ModelPlan gemma2_from_gguf(const GgufFile& file);
ModelPlan gemma3_from_config(const JsonObject& config);
ModelPlan gemma3_from_gguf(const GgufFile& file);
ModelPlan gpt_neox_from_config(const JsonObject& config);
ModelPlan gpt_neox_from_gguf(const GgufFile& file);
ModelPlan gpt2_from_config(const JsonObject& config);
ModelPlan gpt2_from_gguf(const GgufFile& file);

}  // namespace safesail
