// The bytes as a model's description: config.json (first byte 0) or a GGUF file. What is taken has
// passed check_spec: sizes that no later product can overflow.
#include "fuzz_target.h"
#include "memory_file.h"
#include "model/families/plan.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace safesail;
  if (size == 0) return 0;
  return fuzz_one(data + 1, size - 1, [&](std::span<const std::byte> bytes) {
    const ModelPlan plan =
        data[0] == 0
            ? plan_from_config({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "fuzz")
            : plan_from_gguf(GgufFile(MemoryFile(bytes).path()));
    check_spec(plan.spec, "again");
    SAFESAIL_CHECK(plan.spec.attention.size() == static_cast<std::size_t>(plan.spec.n_layers));
    for (const Rope& rope : plan.spec.ropes)
      SAFESAIL_CHECK(2 * std::ssize(rope.inv_freq) <= plan.spec.head_dim);
  });
}
