#include "model/read_spec.h"

#include "formats/gguf.h"
#include "model/families/family.h"

namespace safesail {

ModelSpec read_spec(const fs::path& path) {
  constexpr std::uint64_t kMaxConfigBytes = 1 << 24;
  if (path.extension() == ".gguf") return plan_from_gguf(GgufFile(path)).spec;
  const fs::path config = path / "config.json";
  return plan_from_config(read_file(config, kMaxConfigBytes), config.string()).spec;
}

}  // namespace safesail
