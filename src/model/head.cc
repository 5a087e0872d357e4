#include "model/head.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <vector>

#include "model/huge_pages.h"
#include "model/linear.h"
#include "model/ops.h"

namespace safesail {
namespace {

// A tile of bf16 logits is 8 MiB: it stays in the cache between the product and what reads it,
// while each row of the head is read once a thousand tokens.
constexpr std::int64_t kTokenTile = 1024;
constexpr std::int64_t kVocabTile = 4096;

/// Calls body(first_token, first_id, tile) with logits of the model's dtype, before the soft cap,
/// vocabulary innermost.
template <class Body>
void for_tiles(const Linear& head, const at::Tensor& hidden, const Body& body) {
  const std::int64_t n_tokens = hidden.size(0), vocab = head.weight.size(0);
  const at::Tensor buffer =
      at::empty({std::min(n_tokens, kTokenTile) * std::min(vocab, kVocabTile)}, hidden.options());
  for (std::int64_t token = 0; token < n_tokens; token += kTokenTile) {
    const at::Tensor in = hidden.narrow(0, token, std::min(kTokenTile, n_tokens - token));
    for (std::int64_t id = 0; id < vocab; id += kVocabTile) {
      const std::int64_t n_ids = std::min(kVocabTile, vocab - id);
      at::Tensor tile = buffer.narrow(0, 0, in.size(0) * n_ids).view({in.size(0), n_ids});
      const Linear rows{head.weight.narrow(0, id, n_ids),
                        head.bias.defined() ? head.bias.narrow(0, id, n_ids) : at::Tensor()};
      multiply(rows, in, tile);
      body(token, id, tile);
    }
  }
}

}  // namespace

at::Tensor logits_of(const ModelSpec& spec, const Linear& head, const at::Tensor& hidden) {
  const std::vector<std::int64_t> shape{hidden.size(0), head.weight.size(0)};
  at::Tensor logits = hidden.is_cpu() ? empty_on_huge_pages(shape, at::kFloat)
                                      : at::empty(shape, hidden.options().dtype(at::kFloat));
  for_tiles(head, hidden, [&](std::int64_t token, std::int64_t id, const at::Tensor& tile) {
    at::Tensor part = logits.narrow(0, token, tile.size(0)).narrow(1, id, tile.size(1));
    part.copy_(tile);
    if (spec.final_softcap > 0) part.div_(spec.final_softcap).tanh_().mul_(spec.final_softcap);
  });
  return logits;
}

at::Tensor losses_of(const ModelSpec& spec, const Linear& head, const at::Tensor& hidden,
                     const at::Tensor& targets) {
  RunningLoss loss(targets);
  for_tiles(head, hidden, [&](std::int64_t token, std::int64_t id, const at::Tensor& tile) {
    loss.add(spec, tile, token, id);
  });
  return loss.finish();
}

std::uint64_t head_bytes(std::int64_t n_tokens, std::int64_t bytes_per_value) {
  return static_cast<std::uint64_t>(std::min(n_tokens, kTokenTile) * kVocabTile * bytes_per_value);
}

}  // namespace safesail
