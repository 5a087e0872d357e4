// The bytes as the body of a request to our own endpoint: what is taken is within its limits.
#include "fuzz_target.h"
#include "serve/completion.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace safesail;
  return fuzz_one(data, size, [&](std::span<const std::byte>) {
    const CompletionRequest request =
        parse_completion_request({reinterpret_cast<const char*>(data), size});
    SAFESAIL_CHECK(!request.messages.empty());
    SAFESAIL_CHECK(request.max_tokens >= 1 && request.max_tokens <= 1 << 20);
    SAFESAIL_CHECK(request.sampling.temperature >= 0);
    SAFESAIL_CHECK(request.n_alternatives.value_or(0) >= 0 &&
                   request.n_alternatives.value_or(0) <= 20);
    for (const std::string& stop : request.stop) SAFESAIL_CHECK(!stop.empty());
    SAFESAIL_CHECK(!request.form ||
                   request.form->text.find(request.form->slot) != std::string::npos);
  });
}
