// Rows of Neuronpedia, packed numbers of an atlas, and what people type into its search. What a row
// becomes goes out as a row that comes in again.
#include "atlas/blobs.h"
#include "atlas/neuronpedia_rows.h"
#include "atlas/search_text.h"
#include "fuzz_target.h"

namespace {

using namespace safesail;
using namespace safesail::neuronpedia;

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

/// The same, as another process would read it.
Json written(const Json& row) {
  return parse_json(text_of(row), "again");
}

void read_row(std::string_view text) {
  const Json json = parse_json(text, "fuzz");
  const JsonObject row(json, "fuzz");
  const Place place = place_of(row);
  const auto attempt = [](const auto& body) {
    try {
      body();
    } catch (const Error&) {
    }
  };
  attempt([&] {
    FeatureEntry entry;
    entry.record = feature_of(row).record;
    const Json out = written(row_of(entry, place));
    SAFESAIL_CHECK(feature_of(JsonObject(out, "again")).record.feature == place.feature);
  });
  attempt([&] {
    const ActivationRow activation = exemplar_of(row, 1);
    const Json out =
        written(row_of(activation.exemplar, activation.extra, FeatureRecord{}, place, 0));
    SAFESAIL_CHECK(exemplar_of(JsonObject(out, "again"), 1).exemplar.window.n_tokens() ==
                   activation.exemplar.window.n_tokens());
  });
  attempt([&] {
    const ExplanationWithScores item = explanation_of(row);
    const Json out = written(row_of(item, FeatureEntry{}, place));
    SAFESAIL_CHECK(explanation_of(JsonObject(out, "again")).scores.size() == item.scores.size());
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  return safesail::fuzz_one(data + 1, size - 1, [&](std::span<const std::byte> bytes) {
    switch (data[0] % 7) {
      case 0:
        unpack_ids(bytes, "fuzz");
        break;
      case 1:
        SAFESAIL_CHECK(unpack_counts(bytes, "fuzz").size() <= bytes.size());
        break;
      case 2:
        pack_offsets(unpack_offsets(bytes, "fuzz"));
        break;
      case 3:
        unpack_sparse(bytes, size % 64, "fuzz");
        break;
      case 4:
        unpack_floats(bytes, "fuzz");
        break;
      case 5:
        SAFESAIL_CHECK(search_query(search_text(text)).find('\0') == std::string::npos);
        break;
      default:
        read_row(text);
    }
  });
}
