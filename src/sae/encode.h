// Encoding on the CPU without ever holding [n_tokens, n_features]:
//   1. a tile of tokens times a tile of features by GEMM (bf16 or f32), read at once by the running
//      top-k of each token, which keeps k + margin candidates;
//   2. the candidates' values again in f32 from the f32 weights;
//   3. the k best of those, positive ones only.
// The margin makes bf16 selection agree with f32 selection but for rare near-ties (see
// docs/decisions/0003-sae-kernels.md); in f32 it only covers the rounding order of two sums.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sae/by_feature.h"
#include "sae/kernels/prepare.h"
#include "sae/sae.h"

namespace safesail {

/// Tokens as the encoder reads them; reusable from batch to batch.
struct PreparedTokens {
  ColumnBlocks columns;              ///< f32
  Aligned<float> rows;               ///< [n_tokens, d] for f32 selection
  Aligned<std::uint16_t> rows_bf16;  ///< [n_tokens, d] for bf16 selection

  std::int64_t n_tokens() const { return columns.n_rows(); }
  std::int64_t d_model() const { return columns.n_columns(); }
};

/// x [n_tokens, d] f32 or bf16, contiguous, on the CPU. Non-finite values are an input error.
void prepare_tokens(const at::Tensor& x, const Affine& affine, Selection selection,
                    PreparedTokens& out);

/// Views of an encoder. `w_bf16` is w rounded; needed for bf16 selection only.
struct EncoderWeights {
  SaeSpec spec;
  const float* w = nullptr;  ///< [n_features, d_model]
  const float* bias = nullptr;
  const std::uint16_t* w_bf16 = nullptr;
};

/// w in bf16, for EncoderWeights::w_bf16.
Aligned<std::uint16_t> round_encoder(std::span<const float> w);

struct EncodeScratch {
  std::vector<std::int32_t> candidates;
  std::vector<float> values;
  Aligned<float> dots;
  ByFeature pairs;
};

/// Candidates a token beyond k.
std::int64_t selection_margin(const SaeSpec& spec);

/// Step 1: candidates [n_tokens, k + margin], -1 where there are fewer.
void find_candidates(const EncoderWeights& encoder, const PreparedTokens& tokens,
                     Selection selection, std::vector<std::int32_t>& candidates);

/// Of a token's codes: by falling value as SparseCodes promises, or as they come (training sorts
/// them by feature anyway).
enum class CodeOrder { falling, any };

/// Steps 2 and 3.
void choose_codes(const EncoderWeights& encoder, const PreparedTokens& tokens,
                  EncodeScratch& scratch, CodeOrder order, SparseCodes& codes);

}  // namespace safesail
