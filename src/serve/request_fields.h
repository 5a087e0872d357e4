// The fields of a request to /v1/chat/completions: which are known, and how one is refused.
//
// Free functions that throw FieldError.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "formats/json.h"

namespace safesail {

inline constexpr JsonLimits kRequestLimits{
    .max_bytes = std::uint64_t{16} << 20, .max_depth = 64, .unique_keys = true};

/// "request: 'FIELD': PROBLEM"
[[noreturn]] void refuse_field(std::string_view field, std::string_view problem,
                               std::string_view remedy);
[[noreturn]] void not_supported(std::string_view field, std::string_view what);

using FieldNames = std::span<const std::string_view>;

/// Refuses what is not `known`, for an answer that is not as it was asked to be is worse than none.
/// In the request itself (`before` is empty) what changes no answer may stand beside. `before`: the
/// way to `object`, "stream_options.".
void check_fields(const Json& object, FieldNames known, const std::string& before);

}  // namespace safesail
