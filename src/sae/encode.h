// Encoding on the CPU without ever holding [n_tokens, n_features]:
//   1. a tile of tokens times a tile of features by GEMM (bf16 or f32), read at once: either by the
//      running top-k of each token, or against a bound for each feature. What passes are the
//      candidates;
//   2. the candidates' values again in f32 from the f32 weights;
//   3. a rule keeps the active ones of those (keep.h).
// A margin at step 1 makes bf16 selection agree with f32 selection but for rare near-ties (see
// docs/decisions/0003-sae-kernels.md); in f32 it only covers the rounding order of two sums.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sae/code_pairs.h"
#include "sae/kernels/prepare.h"
#include "sae/sae.h"

namespace safesail {

/// Tokens as the encoder reads them; reusable from batch to batch.
struct PreparedTokens {
  ColumnBlocks columns;              ///< f32
  Aligned<float> rows;               ///< [n_tokens, d] for f32 selection
  Aligned<std::uint16_t> rows_bf16;  ///< [n_tokens, d] for bf16 selection
  std::vector<float> slack;          ///< [n_tokens] see candidates_above()

  std::int64_t n_tokens() const { return columns.n_rows(); }
  std::int64_t d() const { return columns.n_columns(); }
};

/// x [n_tokens, d] f32 or bf16, contiguous, on the CPU. Non-finite values are an input error.
void prepare_tokens(const at::Tensor& x, const Affine& affine, Selection selection,
                    PreparedTokens& out);

/// The columns alone, of what need not be encoded.
void prepare_columns(const at::Tensor& x, const Affine& affine, ColumnBlocks& out);

/// Views of an encoder. `w_bf16` is w rounded; needed for bf16 selection only.
struct EncoderWeights {
  std::int64_t d = 0, n_features = 0;
  const float* w = nullptr;  ///< [n_features, d]
  const float* bias = nullptr;
  const std::uint16_t* w_bf16 = nullptr;
};

/// w in bf16, for EncoderWeights::w_bf16.
Aligned<std::uint16_t> round_encoder(std::span<const float> w);

struct EncodeScratch {
  std::vector<SparseCodes> candidates;  ///< of step 1, tile by tile; without values
  double refine_seconds = 0;            ///< spent in step 2, added up
};

/// Steps 1 and 2 for the k best of each token, with some to spare; pre may be negative.
void candidates_top_k(const EncoderWeights& encoder, const PreparedTokens& tokens,
                      Selection selection, std::int64_t k, EncodeScratch& scratch,
                      CodePairs& pairs);
/// The same for all features with pre > lower[f].
void candidates_above(const EncoderWeights& encoder, const PreparedTokens& tokens,
                      Selection selection, std::span<const float> lower, EncodeScratch& scratch,
                      CodePairs& pairs);

}  // namespace safesail
