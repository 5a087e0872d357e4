// The sparse autoencoder: its weights, its transforms and its meaning.
//
//   z     = (x - center) * scale                  x [n_tokens, d_in]: raw activations of a site
//   pre   = (z - b_dec) W_enc^T + b_enc           [n_tokens, n_features]; b_dec left out where the
//                                                 spec says so
//   codes = pre of the active features            which those are: Rule
//   zhat  = codes W_dec + b_dec                   [n_tokens, d_out]; of a skip transcoder + z
//   W_skip^T xhat  = zhat / scale + center                 by the output transform
//
// An SAE reconstructs what it reads (d_out = d_in, one transform); a transcoder reads one site and
// reconstructs another. However an SAE was trained, it runs by one of the two rules below.
//
// `Sae` is a move-only owner of f32 weights on the CPU. Const functions may be called from several
// threads at once; each is parallel inside. Non-finite input is an input error, never a result.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sae/aligned.h"

namespace at {
class Tensor;
}

namespace safesail {

/// Which features of a token are active, given its pre-activations.
enum class Rule {
  top_k,     ///< the k largest, then ReLU; of equal values the lower feature index wins
  threshold  ///< all with pre > max(threshold[f], 0)
};

struct SaeSpec {
  std::string architecture = "topk";  ///< how it was trained: a name of sae/architecture.h
  std::int64_t d_in = 0;
  std::int64_t d_out = 0;
  std::int64_t n_features = 0;
  Rule rule = Rule::top_k;
  /// Rule::top_k: at most this many features are active for a token. Else the mean that training
  /// aimed at; 0: none.
  std::int64_t k = 0;
  bool apply_b_dec_to_input = true;
  bool transcoder = false;
  bool skip = false;                 ///< a transcoder with W_skip
  std::vector<std::int64_t> groups;  ///< Matryoshka: ends of the nested prefixes, rising

  /// A TopK SAE.
  static SaeSpec topk(std::int64_t d, std::int64_t n_features, std::int64_t k);

  bool operator==(const SaeSpec&) const = default;
};

/// Throws an input error unless sizes, k and groups are possible and fit together.
void check(const SaeSpec& spec);

/// Makes every site look alike to the SAE: z = (x - center) * scale has mean 0 and E|z|^2 = d
/// when measured by RunningMoments.
struct InputTransform {
  std::vector<float> center;  ///< [d]
  float scale = 1;            ///< > 0

  /// z [n_tokens, d] f32 of x (f32 or bf16), on x's device.
  at::Tensor apply(const at::Tensor& x) const;
  /// x [n_tokens, d] f32 of z.
  at::Tensor undo(const at::Tensor& z) const;

  bool operator==(const InputTransform&) const = default;
};

/// The transform that changes nothing.
InputTransform identity_transform(std::int64_t d);

/// Codes of some tokens as compressed rows: token t has the entries [offsets[t], offsets[t + 1]) by
/// falling value (of equal values the lower feature first), all values > 0.
struct SparseCodes {
  std::vector<std::int64_t> offsets{0};  ///< [n_tokens + 1]
  std::vector<std::int32_t> indices;     ///< features
  std::vector<float> values;

  std::int64_t n_tokens() const { return std::int64_t(offsets.size()) - 1; }
  std::int64_t n_active() const { return offsets.back(); }
};

/// How the encoder finds the features of a token. Values are computed in f32 from the f32 weights
/// either way; `bf16` only selects by bf16 products (with a margin, see encode.h), which is several
/// times faster where the machine has bf16 dot products.
enum class Selection { f32, bf16 };

/// bf16 where the CPU multiplies bf16 natively, else f32.
Selection fastest_selection();

class Sae {
 public:
  /// All weights zero. A transcoder needs the transform of its output too.
  Sae(SaeSpec spec, InputTransform input);
  Sae(SaeSpec spec, InputTransform input, InputTransform output);

  /// Decoder rows random directions of unit norm, biases and thresholds zero. The encoder of an SAE
  /// is the same rows, half as long; that of a transcoder other directions, a tenth as long, so
  /// that it starts near its bias. The same (spec, seed) gives the same weights on every machine.
  static Sae random(const SaeSpec& spec, InputTransform input, std::uint64_t seed);
  static Sae random(const SaeSpec& spec, InputTransform input, InputTransform output,
                    std::uint64_t seed);

  Sae clone() const;

  const SaeSpec& spec() const { return spec_; }
  const InputTransform& transform() const { return input_; }
  const InputTransform& output_transform() const { return output_; }
  std::uint64_t weight_bytes() const;
  /// Bytes that encode() and then decode() hold at their highest besides weights and tokens.
  std::uint64_t coding_bytes(std::int64_t n_tokens) const;

  std::span<const float> w_enc() const { return w_enc_.span(); }          ///< [n_features, d_in]
  std::span<const float> b_enc() const { return b_enc_.span(); }          ///< [n_features]
  std::span<const float> threshold() const { return threshold_.span(); }  ///< [n_features] or empty
  std::span<const float> w_dec() const { return w_dec_.span(); }          ///< [n_features, d_out]
  std::span<const float> b_dec() const { return b_dec_.span(); }          ///< [d_out]
  std::span<const float> w_skip() const { return w_skip_.span(); }  ///< [d_out, d_in] or empty
  std::span<float> w_enc() { return w_enc_.span(); }
  std::span<float> b_enc() { return b_enc_.span(); }
  std::span<float> threshold() { return threshold_.span(); }
  std::span<float> w_dec() { return w_dec_.span(); }
  std::span<float> b_dec() { return b_dec_.span(); }
  std::span<float> w_skip() { return w_skip_.span(); }

  /// x [n_tokens, d_in] f32 or bf16, raw activations on the CPU. Give thousands of tokens at a
  /// time: bf16 selection rounds the encoder once a call.
  SparseCodes encode(const at::Tensor& x, Selection selection = Selection::f32) const;
  /// xhat [n_tokens, d_out] f32. `x` is what was encoded: only a skip transcoder needs it.
  at::Tensor decode(const SparseCodes& codes, const at::Tensor& x) const;
  at::Tensor decode(const SparseCodes& codes) const;
  at::Tensor reconstruct(const at::Tensor& x, Selection selection = Selection::f32) const;

 private:
  SaeSpec spec_;
  InputTransform input_, output_;
  Aligned<float> w_enc_, b_enc_, threshold_, w_dec_, b_dec_, w_skip_;
};

}  // namespace safesail
