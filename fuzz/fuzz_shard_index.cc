// The bytes as model.safetensors.index.json, beside one shard.
#include <array>
#include <cstdlib>
#include <vector>

#include "formats/safetensors.h"
#include "fuzz_target.h"

namespace {

using namespace safesail;

/// A folder with the shard; left behind when the process ends.
const fs::path& folder() {
  static const fs::path path = [] {
    std::string name = (fs::temp_directory_path() / "fuzz_shard_index.XXXXXX").string();
    SAFESAIL_CHECK(::mkdtemp(name.data()) != nullptr);
    const std::vector<float> values(4);
    const std::array tensors{
        NamedTensor{"a", {DType::f32, {2, 2}, std::as_bytes(std::span(values))}}};
    write_safetensors(fs::path(name) / "model-00001-of-00001.safetensors", tensors);
    return fs::path(name);
  }();
  return path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz_one(data, size, [](std::span<const std::byte> bytes) {
    write_file(folder() / "model.safetensors.index.json",
               {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    const SafetensorsFolder model(folder());
    for (const std::string& name : model.names()) SAFESAIL_CHECK(model.at(name).bytes.size() == 16);
  });
}
