// The bytes as the query of a request for features ("name=value&..."): it is refused, or the
// question to the atlas is within its limits.
#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>

#include "base/utf8.h"
#include "fuzz_target.h"
#include "serve/feature_request.h"
#include "serve/refusal.h"

namespace {

using namespace safesail;

QueryParameters::Params params_of(std::string_view query) {
  QueryParameters::Params params;
  while (!query.empty()) {
    const std::string_view one = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), one.size() + 1));
    const std::size_t equals = one.find('=');
    params.emplace(one.substr(0, equals),
                   equals == one.npos ? std::string_view() : one.substr(equals + 1));
  }
  return params;
}

bool is_short_text(const std::string& text) {
  return is_utf8(text) && text.find('\0') == text.npos && text.size() <= 800;
}

void check(const FeatureQuery& query) {
  for (const std::string* text :
       {&query.text, &query.subclass, &query.sae, &query.site, &query.language})
    SAFESAIL_CHECK(is_short_text(*text));
  SAFESAIL_CHECK(std::ranges::all_of(query.domains, is_short_text));
  for (const std::optional<double>& number :
       {query.min_score, query.max_score, query.min_density, query.max_density})
    SAFESAIL_CHECK(!number || std::isfinite(*number));
  SAFESAIL_CHECK(query.layer.value_or(0) >= 0);
  SAFESAIL_CHECK(query.offset >= 0 && query.limit >= 1 && query.limit <= 500);
  SAFESAIL_CHECK(!query.ids || (!query.ids->empty() && query.ids->size() <= 500));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz_one(data, size, [&](std::span<const std::byte>) {
    try {
      check(parse_feature_request(params_of({reinterpret_cast<const char*>(data), size})));
    } catch (const Refusal&) {
    }
  });
}
