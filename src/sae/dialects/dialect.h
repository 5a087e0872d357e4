// Other tools' SAE checkpoints: one file a dialect, each with the few functions of `Dialect`.
//
// Reading gives an Sae with the meaning that the dialect's own loader gives to the file, or an
// input error that names what cannot be kept. Writing goes the other way and refuses, by name, what
// the dialect cannot say. Every byte read is hostile. Nothing is shared; distinct paths may be used
// from distinct threads. What each dialect stores and means: docs/formats/sae_dialects.md.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "formats/torch_pickle.h"
#include "model/mlp_norm.h"
#include "sae/checkpoint.h"

namespace safesail {

/// An SAE as it came from a file, with what the Sae itself has no place for.
struct ImportedSae {
  Sae sae;
  SaeProvenance provenance;
  /// The file has no decoder: the Sae's decoder is zero and must not be used.
  bool encoder_only = false;
  std::vector<float> golden_x;     ///< [n, d_in] raw activations that came with it, or none
  std::vector<std::string> notes;  ///< what was assumed, folded or left out, for people
};

/// What a file may not say.
struct ReadOptions {
  /// "mlp_out.17", which then holds whatever the file says; empty: take it from the file or its
  /// path.
  std::string site;
  std::optional<std::int64_t> k;      ///< of TopK SAEs whose files do not hold it
  std::optional<double> input_scale;  ///< the constant that activations were multiplied by
  /// Of the model that the SAE reads, where that is at hand: whether it has norms behind attention
  /// and MLP (else its name in the file tells), and the norm before its MLP in a layer.
  std::optional<bool> post_norms;
  std::function<MlpNorm(int layer)> mlp_norm;
};

/// A file or folder that some dialect may know.
class SaeSource {
 public:
  /// `called`: where it will lie, if not at `path`.
  explicit SaeSource(fs::path path, fs::path called = {});

  const fs::path& path() const { return path_; }
  /// Absolute. Some dialects say in names of files and folders what their files do not.
  const fs::path& called() const { return called_; }
  bool is_folder() const { return is_folder_; }
  /// Of a folder: whether it has this file, which may lie in a folder inside.
  bool has(std::string_view name) const;
  fs::path file(std::string_view name) const { return path_ / name; }
  /// The file itself when torch made it, else null. Opened once; refuses hostile pickles.
  std::shared_ptr<const TorchFile> torch() const { return torch_; }
  /// The tensors and values at the root of torch(), or null.
  const PickleDict* torch_dict() const;

 private:
  fs::path path_, called_;
  bool is_folder_ = false;
  std::shared_ptr<const TorchFile> torch_;
};

struct Dialect {
  std::string_view name;
  std::string_view files;  ///< what it looks like, for people
  bool (*detect)(const SaeSource& source);
  ImportedSae (*read)(const SaeSource& source, const ReadOptions& options);
  /// `out` has the extension; a folder is there and empty, a file is not.
  void (*write)(const fs::path& out, const ImportedSae& sae);
  std::string_view extension = "";  ///< of the file written; empty: a folder
  bool has_decoder = true;          ///< false: only the encoder is stored
};

/// All, in the order in which they are tried.
std::span<const Dialect> all_dialects();
/// An unknown name is an input error that lists all.
const Dialect& find_dialect(std::string_view name);
/// The dialect of a file or folder; an input error that lists what was looked for when there is
/// none.
const Dialect& detect_dialect(const SaeSource& source);

/// Writes our own sae.safetensors, with golden_x, which must be there.
void write_safesail(const fs::path& out, const ImportedSae& sae);

// Each in the .cc of its name.
extern const Dialect kSafesailDialect, kSafeSailDialect, kSaelensDialect, kSparsifyDialect,
    kDictionaryLearningDialect, kOpenmossDialect, kLlamaScopeDialect, kGemmaScopeDialect,
    kQwenScopeDialect;

}  // namespace safesail
