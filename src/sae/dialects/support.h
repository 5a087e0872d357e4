// What several dialects share: the provenance of what they read, their JSON, their refusals.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "formats/json.h"
#include "sae/dialects/dialect.h"

namespace safesail {

/// The site that the user named, else `site` as the file tells it.
SaeProvenance provenance_for(const ReadOptions& options, const std::string& site);

/// An input error: `path` (of format `dialect`) needs what we, or what this way of writing it,
/// cannot say.
[[noreturn]] void cannot_read(const SaeSource& source, std::string_view what,
                              std::string_view remedy);
[[noreturn]] void cannot_write(std::string_view dialect, std::string_view what,
                               std::string_view remedy);

/// The k of a TopK SAE whose file does not hold it.
std::int64_t required_k(const SaeSource& source, const ReadOptions& options);
/// k from the file, which the user's must not contradict.
std::int64_t stored_k(const SaeSource& source, const ReadOptions& options, std::int64_t k);

/// Of an SAE whose width is `d_in`; checked, so that nothing impossible is allocated.
SaeSpec spec_of(std::string architecture, Rule rule, std::int64_t d_in, std::int64_t n_features,
                std::int64_t k);

/// The decoder is needed: refuses an encoder-only SAE.
void require_decoder(std::string_view dialect, const ImportedSae& sae);
/// Refuses transcoders.
void require_plain_sae(std::string_view dialect, const ImportedSae& sae);

/// Every threshold is at most 0: the rule is a ReLU.
bool is_relu(const Sae& sae);
/// The threshold that all features share.
std::optional<float> common_threshold(const Sae& sae);

void write_json(const fs::path& path, const Json& json);

}  // namespace safesail
