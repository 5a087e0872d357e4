// The sparse autoencoder: its weights, its input transform and its meaning.
//
//   z     = (x - center) * scale                  x [n_tokens, d_model]: raw activations of a site
//   pre   = (z - b_dec) W_enc^T + b_enc           [n_tokens, n_features]
//   codes = ReLU(top-k(pre))                      of equal values the lower feature index wins
//   zhat  = codes W_dec + b_dec
//   xhat  = zhat / scale + center
//
// `Sae` is a move-only owner of f32 weights on the CPU. Const functions may be called from several
// threads at once; each is parallel inside. Non-finite input is an input error, never a result.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sae/aligned.h"

namespace at {
class Tensor;
}

namespace safesail {

struct SaeSpec {
  std::int64_t d_model = 0;
  std::int64_t n_features = 0;
  std::int64_t k = 0;  ///< at most this many features are active for a token

  bool operator==(const SaeSpec&) const = default;
};

/// Throws an input error unless 0 < d_model, 0 < k <= n_features and the sizes are within reason.
void check(const SaeSpec& spec);

/// Makes every site look alike to the SAE: z = (x - center) * scale has mean 0 and E|z|^2 = d_model
/// when measured by RunningMoments.
struct InputTransform {
  std::vector<float> center;  ///< [d_model]
  float scale = 1;            ///< > 0

  /// z [n_tokens, d_model] f32 of x (f32 or bf16), on x's device.
  at::Tensor apply(const at::Tensor& x) const;
  /// x [n_tokens, d_model] f32 of z.
  at::Tensor undo(const at::Tensor& z) const;
};

/// The transform that changes nothing.
InputTransform identity_transform(std::int64_t d_model);

/// Codes of some tokens, k slots a token: features by falling value (of equal values the lower
/// index first), all values > 0; slots not needed hold index -1 and value 0.
struct SparseCodes {
  std::int64_t k = 0;
  std::vector<std::int32_t> indices;  ///< [n_tokens * k]
  std::vector<float> values;          ///< [n_tokens * k]

  std::int64_t n_tokens() const { return k == 0 ? 0 : std::int64_t(indices.size()) / k; }
};

/// How the encoder finds the features of a token. Values are computed in f32 from the f32 weights
/// either way; `bf16` only selects by bf16 products (with a margin, see encode.h), which is several
/// times faster where the machine has bf16 dot products.
enum class Selection { f32, bf16 };

/// bf16 where the CPU multiplies bf16 natively, else f32.
Selection fastest_selection();

class Sae {
 public:
  /// All weights zero.
  Sae(const SaeSpec& spec, InputTransform transform);

  /// Decoder rows random directions of unit norm, encoder the same rows, biases zero. The same
  /// (spec, seed) gives the same weights on every machine.
  static Sae random(const SaeSpec& spec, InputTransform transform, std::uint64_t seed);

  Sae clone() const;

  const SaeSpec& spec() const { return spec_; }
  const InputTransform& transform() const { return transform_; }
  std::uint64_t weight_bytes() const;

  std::span<const float> w_enc() const { return w_enc_.span(); }  ///< [n_features, d_model]
  std::span<const float> b_enc() const { return b_enc_.span(); }  ///< [n_features]
  std::span<const float> w_dec() const { return w_dec_.span(); }  ///< [n_features, d_model]
  std::span<const float> b_dec() const { return b_dec_.span(); }  ///< [d_model]
  std::span<float> w_enc() { return w_enc_.span(); }
  std::span<float> b_enc() { return b_enc_.span(); }
  std::span<float> w_dec() { return w_dec_.span(); }
  std::span<float> b_dec() { return b_dec_.span(); }

  /// x [n_tokens, d_model] f32 or bf16, raw activations on the CPU. Give thousands of tokens at a
  /// time: bf16 selection rounds the encoder once a call.
  SparseCodes encode(const at::Tensor& x, Selection selection = Selection::f32) const;
  /// xhat [n_tokens, d_model] f32.
  at::Tensor decode(const SparseCodes& codes) const;
  at::Tensor reconstruct(const at::Tensor& x, Selection selection = Selection::f32) const;

 private:
  SaeSpec spec_;
  InputTransform transform_;
  Aligned<float> w_enc_, b_enc_, w_dec_, b_dec_;
};

}  // namespace safesail
