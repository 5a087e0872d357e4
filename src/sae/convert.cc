#include "sae/convert.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "base/error.h"
#include "base/random_name.h"
#include "base/version.h"
#include "formats/json.h"
#include "model/site_names.h"
#include "sae/dialects/tensor_set.h"

namespace safesail {
namespace {

constexpr std::int64_t kGoldenTokens = 64;

at::Tensor tensor_over(std::vector<float>& values, std::int64_t columns) {
  return at::from_blob(values.data(), {std::int64_t(values.size()) / columns, columns});
}

/// The activations of the check: the user's, the file's own, or made up.
std::vector<float> golden_for(const ConvertOptions& options, const ImportedSae& imported,
                              std::string& where) {
  const std::int64_t d = imported.sae.spec().d_in;
  if (!options.golden.empty()) {
    const auto tensors = TensorSet::from_safetensors(options.golden);
    const auto [n, width] = tensors.matrix(options.golden_key);
    if (width != d)
      tensors.refuse(options.golden_key, fmt::format("expected [n, {}], got [{}, {}]", d, n, width),
                     "give activations of the SAE's site");
    std::vector<float> x(std::size_t(n * d));
    tensors.read(options.golden_key, {n, d}, x);
    x.resize(std::size_t(std::min(n, kGoldenTokens) * d));
    where = options.golden.string();
    return x;
  }
  if (!imported.golden_x.empty()) {
    where = "the SAE's own golden activations";
    return imported.golden_x;
  }
  where = "pseudo-random activations of the SAE's scale";
  return activations_for(imported.sae);
}

/// A name beside `out`, removed with all it holds unless renamed.
class Partial {
 public:
  Partial(const fs::path& out, bool is_folder)
      : out_(out),
        path_(out.parent_path() / fmt::format(".{}.partial.{}{}", out.stem().string(),
                                              random_name(), out.extension().string())) {
    std::error_code error;
    if (out.has_parent_path()) fs::create_directories(out.parent_path(), error);
    if (is_folder) fs::create_directories(path_, error);
    if (error)
      failed(out.string(), "cannot create: " + error.message(), "check the folder's permissions");
  }
  ~Partial() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Partial(const Partial&) = delete;
  Partial& operator=(const Partial&) = delete;

  const fs::path& path() const { return path_; }
  void commit() {
    std::error_code error;
    fs::rename(path_, out_, error);
    if (error)
      failed(out_.string(), "cannot rename: " + error.message(), "check the folder's permissions");
  }

 private:
  fs::path out_, path_;
};

/// What the written file does not say of itself must be said again.
ReadOptions options_for_reading_back(const ImportedSae& imported) {
  ReadOptions options;
  options.post_norms = imported.provenance.site.starts_with("mlp_post.") ||
                       may_have_post_norms(imported.provenance.model_name);
  if (imported.sae.spec().rule == Rule::top_k) options.k = imported.sae.spec().k;
  return options;
}

/// What the output says of the SAE's place must be true; what it cannot say is noted.
void check_place(const fs::path& out, std::string_view what, const std::string& before,
                 const std::string& after, std::vector<std::string>& notes) {
  if (before == after) return;
  if (after.empty()) {
    notes.push_back(fmt::format("{} does not say that the SAE {} {}", out.filename().string(), what,
                                printable(before)));
  } else if (before.empty()) {
    notes.push_back(fmt::format("by its name {} says that the SAE {} {}, which the input does not",
                                out.filename().string(), what, after));
  } else {
    bad_input(out.string(),
              fmt::format("expected an output that says that the SAE {} {}, got one that says {}",
                          what, printable(before), after),
              "give --out a name that says where the SAE belongs, or choose another format: "
              "docs/formats/sae_dialects.md");
  }
}

}  // namespace

ImportedSae read_any_sae(const fs::path& path, const std::string& from,
                         const ReadOptions& options) {
  const SaeSource source(path);
  return (from.empty() ? detect_dialect(source) : find_dialect(from)).read(source, options);
}

Conversion convert_sae(const ConvertOptions& options) {
  const Dialect& to = find_dialect(options.to);
  if (fs::exists(options.out))
    bad_input(options.out.string(), "expected a new name, got one that exists",
              "remove it, or choose another --out");

  if (!to.extension.empty() && options.out.extension() != to.extension)
    bad_input(options.out.string(), fmt::format("expected a name that ends in {}", to.extension),
              fmt::format("name it so: {} is told by it", to.name));

  const SaeSource source(options.in);
  const Dialect& from = options.from.empty() ? detect_dialect(source) : find_dialect(options.from);
  ImportedSae imported = from.read(source, options.read);
  Conversion result{.from = std::string(from.name),
                    .to = std::string(to.name),
                    .spec = imported.sae.spec(),
                    .encoder_only = imported.encoder_only || !to.has_decoder};
  result.notes = imported.notes;
  if (!to.has_decoder && !imported.encoder_only)
    result.notes.push_back(fmt::format("{} has no decoder: it is left out", to.name));
  imported.golden_x = golden_for(options, imported, result.golden);
  if (imported.provenance.program_version.empty())
    imported.provenance.program_version =
        fmt::format("{} (converted from {})", kVersion, from.name);

  Partial partial(options.out, to.extension.empty());
  to.write(partial.path(), imported);
  const ImportedSae back =
      to.read(SaeSource(partial.path(), options.out), options_for_reading_back(imported));
  check_place(options.out, "reads", imported.provenance.site, back.provenance.site, result.notes);
  if (result.spec.transcoder)
    check_place(options.out, "reconstructs", imported.provenance.output_site,
                back.provenance.output_site, result.notes);
  result.agreement =
      compare_saes(imported.sae, back.sae, tensor_over(imported.golden_x, result.spec.d_in),
                   !result.encoder_only);
  const Agreement& agreement = result.agreement;
  if (agreement.n_active == 0)
    bad_input(result.golden, "expected activations on which features fire, got none that do",
              "give activations of the SAE's site with --golden");
  if (!(agreement.worst_value <= 1 && agreement.worst_xhat <= 1))
    bad_input(
        options.out.string(),
        fmt::format("expected the same features with the same values, got {:.3g} times what "
                    "rounding explains; {}",
                    std::max(agreement.worst_value, agreement.worst_xhat), agreement.worst_feature),
        "nothing was written: convert to safesail or another format");
  partial.commit();
  return result;
}

}  // namespace safesail
