// The one decoder: embeds packed tokens and runs them through the layers that a ModelSpec
// describes, showing every site to whoever asked. Knows neither files nor heads of vocabulary.
#pragma once

#include <ATen/core/Tensor.h>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "model/language_model.h"
#include "model/weights.h"

namespace safesail {

struct DecoderOutput {
  std::vector<at::Tensor> sites;  ///< in the order of request.read
  /// [n_tokens, d_model] after the final norm; undefined when the pass stopped earlier.
  at::Tensor hidden;
};

/// An input error unless the model has an embedding for each of `ids`, and, where positions are
/// learned, a position behind `n_past` other tokens.
void check_sequence(const ModelSpec& spec, std::span<const std::int32_t> ids, std::int64_t n_past,
                    std::string_view where);

/// `to_the_end`: run every layer and the final norm, even where no site asks for it. The request is
/// checked; errors name its fault.
DecoderOutput decode(const ModelSpec& spec, const Weights& weights, const ForwardRequest& request,
                     bool to_the_end);

/// Bytes of the buffers of one pass, and of copies of `n_sites` sites.
std::uint64_t pass_bytes(const ModelSpec& spec, std::int64_t bytes_per_value, std::int64_t n_tokens,
                         std::int64_t n_sites);

}  // namespace safesail
