// A decoder-only language model: load, forward with sites, losses. The weights are immutable after
// load and one model may run forwards from several threads; each forward is parallel inside by
// itself.
//
// Values that sites hand out and take are [n_tokens, d_model] in the model's dtype, packed like the
// tokens.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/report.h"
#include "model/site.h"
#include "model/spec.h"
#include "text/batch.h"

namespace at {
class Tensor;
}

namespace safesail {

class KvCache;

enum class ComputeType { f32, bf16 };

struct LoadOptions {
  ComputeType dtype = ComputeType::bf16;
  std::string device = "cpu";  ///< "cpu", "cuda", "cuda:1"
};

/// Called with the value of a site while the forward runs; what it leaves in `value` is what the
/// model goes on with. `value` is [n_tokens, d_model], a buffer of the pass; an edit may change it
/// in place, or assign a tensor of the same shape and dtype, which is copied. Who wants to keep the
/// value clones it: the pass writes over it.
struct SiteEdit {
  Site site;
  std::function<void(at::Tensor& value)> edit;
};

/// What one forward should give. The pass stops at the highest site when `logits` is none.
struct ForwardRequest {
  enum class Logits { none, last_of_each, all };

  std::span<const std::int32_t> ids;     ///< [n_tokens], packed
  std::span<const std::int32_t> starts;  ///< [n_sequences + 1], as in TokenBatch
  /// Position number of each token, rising within a sequence; empty: 0, 1, 2... Not with a cache.
  /// With a token left out and the numbers of the others as they were, the model reads the text as
  /// if that token were masked in attention (sliding windows count the tokens that are there).
  std::span<const std::int32_t> positions;
  std::vector<Site> read;
  std::vector<SiteEdit> edits;
  Logits logits = Logits::none;
  /// Also gives the hidden states that the head reads.
  bool hidden = false;
  /// Starts at layer `first_layer` with this residual stream, as resid_pre of that layer was read
  /// in an earlier pass over the same tokens; nullptr: from the embeddings. Not with a cache.
  /// n_layers leaves only the final norm and the head: the logit lens.
  const at::Tensor* residual = nullptr;
  std::int64_t first_layer = 0;
  /// Continues cached sequences (one a sequence of the request) and appends to them; nullptr: no
  /// cache.
  KvCache* cache = nullptr;
};

struct ForwardResult {
  /// In the order of ForwardRequest::read: [n_tokens, d_model] in the model's dtype. An edited site
  /// is read after its edit.
  std::vector<at::Tensor> sites;
  /// [n_tokens or n_sequences, vocab] in the model's dtype, after any soft cap; nullptr when not
  /// asked for.
  std::unique_ptr<at::Tensor> logits;
  /// [n_tokens, d_model] after the final norm; nullptr when not asked for.
  std::unique_ptr<at::Tensor> hidden;
};

/// What an edit does to the prediction of each next token, in nats; entries as in next_token_loss.
struct PredictionChange {
  std::vector<float> loss;  ///< [n_tokens] cross entropy of the edited model
  std::vector<float> kl;    ///< [n_tokens] KL(clean || edited)
};
struct PredictionChanges {
  std::vector<float> clean_loss;         ///< [n_tokens]
  std::vector<PredictionChange> edited;  ///< in the order asked for
};

class LanguageModel {
 public:
  /// `path`: a Hugging Face folder or a .gguf file. States and checks the memory need first.
  /// `end_tokens` join those that its own files name in spec().eos.
  static LanguageModel load(const fs::path& path, const LoadOptions& options, Reporter& reporter,
                            std::span<const std::int32_t> end_tokens = {});
  ~LanguageModel();
  LanguageModel(LanguageModel&&) noexcept;

  const ModelSpec& spec() const;
  const LoadOptions& options() const;
  /// Bytes of the weights as held.
  std::uint64_t weight_bytes() const;
  /// Bytes that a forward of `n_tokens` holds at its highest besides the weights, with a copy of
  /// `n_sites` sites, and with tiles of logits where `losses` are asked for.
  std::uint64_t forward_bytes(std::int64_t n_tokens, std::size_t n_sites, bool losses) const;

  ForwardResult forward(const ForwardRequest& request) const;

  /// Logits as in ForwardResult of any rows of ForwardResult::hidden.
  at::Tensor logits(const at::Tensor& hidden) const;

  /// Next-token cross entropy in nats, [n_tokens] f32: entry t is -log p(ids[t+1] | ids[..t]) and 0
  /// for the last token of each sequence. Logits are made a tile of tokens at a time, never
  /// [n_tokens, V] in full.
  at::Tensor next_token_loss(const ForwardRequest& request) const;

  /// Compares edited passes with the clean one by the hidden states of each (ForwardResult::hidden)
  /// over the tokens of `batch`. No logits beyond a tile here either.
  PredictionChanges compare_next_tokens(const TokenBatch& batch, const at::Tensor& clean,
                                        std::span<const at::Tensor> edited) const;

 private:
  struct Impl;
  explicit LanguageModel(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace safesail
