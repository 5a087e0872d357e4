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
/// Tokens whose logits are widened to f32 at a time for the soft cap.
constexpr std::int64_t kCappedTokens = 16;

/// The rows of `buffer` as [n_tokens, n_ids].
at::Tensor tile_of(const at::Tensor& buffer, std::int64_t n_tokens, std::int64_t n_ids) {
  return buffer.narrow(0, 0, n_tokens * n_ids).view({n_tokens, n_ids});
}

at::Tensor tile_buffer(const Linear& head, const at::Tensor& hidden) {
  return at::empty(
      {std::min(hidden.size(0), kTokenTile) * std::min(head.weight.size(0), kVocabTile)},
      hidden.options());
}

/// Calls body(first_token, first_id, rows of the head, tile) with logits of the model's dtype,
/// before the soft cap, vocabulary innermost.
template <class Body>
void for_tiles(const Linear& head, const at::Tensor& hidden, const Body& body) {
  const std::int64_t n_tokens = hidden.size(0), vocab = head.weight.size(0);
  const at::Tensor buffer = tile_buffer(head, hidden);
  for (std::int64_t token = 0; token < n_tokens; token += kTokenTile) {
    const at::Tensor in = hidden.narrow(0, token, std::min(kTokenTile, n_tokens - token));
    for (std::int64_t id = 0; id < vocab; id += kVocabTile) {
      const std::int64_t n_ids = std::min(kVocabTile, vocab - id);
      at::Tensor tile = tile_of(buffer, in.size(0), n_ids);
      const Linear rows{head.weight.narrow(0, id, n_ids),
                        head.bias.defined() ? head.bias.narrow(0, id, n_ids) : at::Tensor()};
      multiply(rows, in, tile);
      body(token, id, rows, tile);
    }
  }
}

}  // namespace

at::Tensor logits_of(const ModelSpec& spec, const Linear& head, const at::Tensor& hidden) {
  const std::vector<std::int64_t> shape{hidden.size(0), head.weight.size(0)};
  at::Tensor logits = hidden.is_cpu() ? empty_on_huge_pages(shape, hidden.scalar_type())
                                      : at::empty(shape, hidden.options());
  multiply(head, hidden, logits);
  if (spec.final_softcap > 0)
    for (at::Tensor& rows : logits.split(kCappedTokens))
      rows.copy_(rows.to(at::kFloat).div_(spec.final_softcap).tanh_().mul_(spec.final_softcap));
  return logits;
}

at::Tensor losses_of(const ModelSpec& spec, const Linear& head, const at::Tensor& hidden,
                     const at::Tensor& targets) {
  RunningLoss loss(targets);
  for_tiles(head, hidden,
            [&](std::int64_t token, std::int64_t id, const Linear& /*rows*/,
                const at::Tensor& tile) { loss.add(spec, tile, token, id); });
  return loss.finish();
}

HeadChanges changes_of(const ModelSpec& spec, const Linear& head, const at::Tensor& clean,
                       std::span<const at::Tensor> edited, const at::Tensor& targets) {
  RunningLoss clean_loss(targets);
  std::vector<RunningDivergence> divergences;
  std::vector<at::Tensor> moved;  // edited minus clean, [n, d_model]
  for (const at::Tensor& hidden : edited) {
    divergences.emplace_back(targets);
    moved.push_back((hidden.to(at::kFloat) - clean).to(clean.scalar_type()));
  }
  const at::Tensor buffer = tile_buffer(head, clean);
  for_tiles(head, clean,
            [&](std::int64_t token, std::int64_t id, const Linear& rows, const at::Tensor& tile) {
              clean_loss.add(spec, tile, token, id);
              at::Tensor change = tile_of(buffer, tile.size(0), tile.size(1));
              for (std::size_t e = 0; e < edited.size(); ++e) {
                multiply({rows.weight, {}}, moved[e].narrow(0, token, tile.size(0)), change);
                divergences[e].add(spec, tile, change, token, id);
              }
            });
  HeadChanges changes{clean_loss.finish(), {}};
  for (const RunningDivergence& divergence : divergences)
    changes.edited.push_back({divergence.edited_loss(), divergence.kl()});
  return changes;
}

std::uint64_t head_bytes(std::int64_t n_tokens, std::int64_t bytes_per_value) {
  return static_cast<std::uint64_t>(std::min(n_tokens, kTokenTile) * kVocabTile * bytes_per_value *
                                    2);
}

}  // namespace safesail
