// The bytes as the body of each request to the model: what is taken is within its limits.
#include "fuzz_target.h"
#include "serve/trace_request.h"

namespace {

using namespace safesail;

void check(const TraceOptions& options) {
  SAFESAIL_CHECK(options.domains.size() <= 64 && options.saes.size() <= 64);
  SAFESAIL_CHECK(options.top_n <= 1 << 20);
}

void check(const AskedMessages& asked) {
  SAFESAIL_CHECK(!asked.messages.empty() && asked.messages.size() <= 256);
}

void check(const SequenceConfig& config) {
  check_sampling(config.sampling);
  SAFESAIL_CHECK(config.max_new_tokens >= 0 && config.max_new_tokens <= 1 << 20);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  fuzz_one(data, size, [&](auto) { check(parse_trace_request(body).options); });
  fuzz_one(data, size, [&](auto) {
    const AskedChat request = parse_chat_request(body);
    check(request.prompt);
    check(request.options);
    check(request.generation);
  });
  return fuzz_one(data, size, [&](auto) {
    const AskedComparison request = parse_compare_request(body);
    SAFESAIL_CHECK(request.prompts.size() >= 2 && request.prompts.size() <= 8);
    check(request.options);
    check(request.generation);
  });
}
