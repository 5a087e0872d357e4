// What several dialects share: the provenance of what they read, their JSON, their refusals.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "formats/json.h"
#include "model/site.h"
#include "sae/dialects/dialect.h"

namespace safesail {

/// The site that the user named, else `site` as the file tells it ("" where it does not).
SaeProvenance provenance_for(const ReadOptions& options, const std::string& site);
SaeProvenance provenance_for(const ReadOptions& options, const std::optional<Site>& site);

/// Says where an SAE belongs whose file names TransformerLens hooks; `hook_out` of a transcoder. An
/// SAE that reads the norm's output before its weight is made to read mlp_in, which takes the norm
/// of the model; an input error where that is not at hand. A hook that is no site stays a hook.
void place_at_hooks(ImportedSae& imported, const SaeSource& source, const ReadOptions& options,
                    const std::string& hook, const std::string& hook_out);
/// The hook that the SAE reads, and of a transcoder the one it reconstructs; empty where nothing is
/// known of its site.
std::string hook_of(const SaeProvenance& provenance);
std::string output_hook_of(const SaeProvenance& provenance);

/// "mlp_out.17", or "" for none.
std::string text_of(const std::optional<Site>& site);
/// The number behind the last `prefix` in `text`; -1 when there is none.
long long number_after(std::string_view text, std::string_view prefix);

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
