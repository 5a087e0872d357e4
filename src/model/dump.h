// Writes what a model computes for given ids into one safetensors file, for comparison with others.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/file.h"
#include "model/language_model.h"
#include "model/site.h"

namespace safesail {

/// `logits` [T, V] f32 of one sequence.
void dump_logits(const LanguageModel& model, std::span<const std::int32_t> ids,
                 const fs::path& out);

/// One tensor a site, named like it, [T, d] f32, of one sequence.
void dump_activations(const LanguageModel& model, std::span<const std::int32_t> ids,
                      const std::vector<Site>& sites, const fs::path& out);

}  // namespace safesail
