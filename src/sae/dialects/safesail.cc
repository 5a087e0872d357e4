// Our own sae.safetensors, a file or a run's folder with it. The one dialect that says everything.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include "base/error.h"
#include "formats/safetensors.h"
#include "sae/dialects/support.h"
#include "sae/sae_file.h"

namespace safesail {
namespace {

constexpr const char* kFile = "sae.safetensors";

fs::path file_of(const SaeSource& source) {
  return source.is_folder() ? source.file(kFile) : source.path();
}

bool detect(const SaeSource& source) {
  if (source.is_folder() ? !source.has(kFile) : source.path().extension() != ".safetensors")
    return false;
  const SafetensorsFile file(file_of(source));
  const auto format = file.metadata().find("format");
  return format != file.metadata().end() && format->second.starts_with("safesail.sae.");
}

ImportedSae read(const SaeSource& source, const ReadOptions& options) {
  const fs::path path = file_of(source);
  LoadedSae loaded = load_sae(path);
  const SaeSpec& spec = loaded.sae.spec();
  if (spec.rule == Rule::top_k) stored_k(source, options, spec.k);
  if (!options.site.empty()) loaded.provenance.site = options.site;

  const SafetensorsFile file(path);
  std::vector<float> golden;
  if (file.contains("golden.x") && !file.at("golden.x").shape.empty()) {
    const std::int64_t n = file.at("golden.x").shape[0];
    require_shape(file, "golden.x", {n, spec.d_in});
    golden.resize(std::size_t(n * spec.d_in));
    read_tensor(file, "golden.x", std::vector{n, spec.d_in}, golden);
  }
  const bool encoder_only = loaded.provenance.encoder_only;
  return {std::move(loaded.sae), std::move(loaded.provenance), encoder_only, std::move(golden), {}};
}

}  // namespace

void write_safesail(const fs::path& out, const ImportedSae& imported) {
  const std::int64_t d = imported.sae.spec().d_in;
  SAFESAIL_CHECK(!imported.golden_x.empty());
  SaeProvenance provenance = imported.provenance;
  provenance.encoder_only = imported.encoder_only;
  save_sae(out, imported.sae, provenance,
           at::from_blob(const_cast<float*>(imported.golden_x.data()),
                         {std::int64_t(imported.golden_x.size()) / d, d}));
}

const Dialect kSafesailDialect = {.name = "safesail",
                                  .files = "sae.safetensors that Safesail wrote",
                                  .detect = detect,
                                  .read = read,
                                  .write = write_safesail,
                                  .extension = ".safetensors"};

}  // namespace safesail
