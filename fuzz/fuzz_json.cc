// Accepts what nlohmann accepts, where the limits allow it, and gives the same value.
#include "formats/json.h"
#include "fuzz_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace safesail;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  return fuzz_one(data, size, [&](std::span<const std::byte>) {
    const Json value = parse_json(text, "fuzz");
    SAFESAIL_CHECK(value == Json::parse(text));
    if (!value.is_object()) return;
    const JsonObject object(value, "fuzz");
    for (const auto& [key, unused] : value.items()) {
      SAFESAIL_CHECK(object.contains(key) == !unused.is_null());
      try {
        object.find<std::vector<std::int64_t>>(key);
        object.find_positive(key);
      } catch (const Error&) {
      }
    }
  });
}
