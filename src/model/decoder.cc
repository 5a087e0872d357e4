#include "model/decoder.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <fmt/format.h>
#include <optional>

#include "base/error.h"
#include "model/attention.h"
#include "model/kv_cache.h"
#include "model/linear.h"
#include "model/ops.h"

namespace safesail {
namespace {

/// Tokens whose MLP is computed at a time, so that its wide middle stays near the caches.
constexpr std::int64_t kMlpTile = 1024;

void check_request(const ModelSpec& spec, const ForwardRequest& request) {
  const auto n = static_cast<std::int64_t>(request.ids.size());
  const std::string remedy = "pass packed tokens as TokenBatch holds them";
  if (n == 0) bad_input("forward", "expected at least one token, got none", remedy);
  if (request.starts.size() < 2 || request.starts.front() != 0 || request.starts.back() != n)
    bad_input("forward", fmt::format("expected starts from 0 to {}", n), remedy);
  if (request.cache != nullptr &&
      request.cache->n_sequences() != static_cast<std::int64_t>(request.starts.size()) - 1)
    bad_input("forward", "expected as many sequences as the cache has",
              "make a cache of that size");
  for (std::size_t s = 0; s + 1 < request.starts.size(); ++s) {
    const std::int32_t first = request.starts[s], length = request.starts[s + 1] - first;
    if (length < 1) bad_input("forward", "expected strictly rising starts", remedy);
    check_sequence(
        spec,
        request.ids.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(length)),
        request.cache == nullptr ? 0 : request.cache->length(static_cast<std::int64_t>(s)),
        "forward");
  }
  const auto check_site = [&](const Site& site) {
    if (site.layer < 0 || site.layer >= spec.n_layers)
      bad_input(to_string(site), fmt::format("expected a layer from 0 to {}", spec.n_layers - 1),
                "choose a layer that the model has");
  };
  for (const Site& site : request.read) check_site(site);
  for (const SiteEdit& edit : request.edits) check_site(edit.site);
  if (request.residual == nullptr) return;
  if (request.cache != nullptr || request.first_layer < 0 || request.first_layer > spec.n_layers ||
      request.residual->sizes() != at::IntArrayRef{n, spec.d_model})
    bad_input("forward",
              fmt::format("expected a residual stream [{}, {}] of layer 0 to {}, and no cache", n,
                          spec.d_model, spec.n_layers),
              "pass resid_pre of that layer, as an earlier pass over the same tokens read it");
  const auto skipped = [&](const Site& site) { return site.layer < request.first_layer; };
  if (std::ranges::any_of(request.read, skipped) ||
      std::ranges::any_of(request.edits, skipped, &SiteEdit::site))
    bad_input("forward", fmt::format("expected sites from layer {} on", request.first_layer),
              "start at the lowest layer that is read or edited");
}

void check_positions(const ModelSpec& spec, const ForwardRequest& request) {
  if (request.positions.empty()) return;
  bool fits = request.cache == nullptr && request.positions.size() == request.ids.size();
  for (std::size_t s = 0; fits && s + 1 < request.starts.size(); ++s) {
    std::int64_t last = -1;
    for (auto t = static_cast<std::size_t>(request.starts[s]);
         t < static_cast<std::size_t>(request.starts[s + 1]); ++t) {
      fits = fits && request.positions[t] > last;
      last = request.positions[t];
    }
    fits = fits && (!spec.learned_positions || last < spec.max_positions);
  }
  if (!fits)
    bad_input("forward", "expected a position for each token, rising in a sequence, and no cache",
              "number the tokens as in the text that they are from");
}

class Pass {
 public:
  Pass(const ModelSpec& spec, const Weights& weights, const ForwardRequest& request,
       bool to_the_end)
      : spec_(spec), weights_(weights), request_(request), to_the_end_(to_the_end) {
    output_.sites.resize(request.read.size());
    for (const Site& site : request.read)
      if (!highest_ || order(site) > order(*highest_)) highest_ = site;
  }

  DecoderOutput run() {
    if (!to_the_end_ && !highest_) return std::move(output_);
    if (request_.cache != nullptr) request_.cache->reserve(request_.starts);
    prepare();
    for (std::int64_t layer = request_.residual == nullptr ? 0 : request_.first_layer;
         layer < spec_.n_layers; ++layer)
      if (!run_layer(layer)) return std::move(output_);
    if (request_.cache != nullptr) request_.cache->advance(request_.starts);
    if (to_the_end_) {
      norm(spec_, weights_.final_norm, x_, h_);
      output_.hidden = h_;
    }
    return std::move(output_);
  }

 private:
  static std::pair<int, SiteKind> order(const Site& site) { return {site.layer, site.kind}; }

  /// Positions, spans of attention, the embedded tokens and the buffers.
  void prepare() {
    const auto n = static_cast<std::int64_t>(request_.ids.size());
    std::vector<std::int64_t> positions;
    for (std::size_t s = 0; s + 1 < request_.starts.size(); ++s) {
      const std::int64_t first = request_.starts[s], length = request_.starts[s + 1] - first;
      const std::int64_t past =
          request_.cache == nullptr ? 0 : request_.cache->length(static_cast<std::int64_t>(s));
      for (std::int64_t i = 0; i < length; ++i)
        positions.push_back(request_.positions.empty()
                                ? past + i
                                : request_.positions[static_cast<std::size_t>(first + i)]);
      spans_.push_back({first, length, length, nullptr, nullptr, spec_.qkv_dim()});
    }
    const at::Tensor& table = weights_.embedding;
    const at::Tensor ids =
        at::tensor(at::ArrayRef<std::int32_t>(request_.ids.data(), request_.ids.size()), at::kInt)
            .to(table.device());
    const at::Tensor at_position = at::tensor(positions, at::kLong).to(table.device());
    if (request_.residual != nullptr) {
      x_ = at::empty({n, spec_.d_model}, table.options()).copy_(*request_.residual);
    } else {
      x_ = table.index_select(0, ids);
      if (spec_.embedding_scale != 1)
        x_.mul_(at::scalar_tensor(spec_.embedding_scale, x_.options()));
      if (spec_.learned_positions) x_.add_(weights_.positions.index_select(0, at_position));
    }
    for (const Rope& rope : spec_.ropes) ropes_.push_back(rope_table(rope, at_position));
    ropes_.push_back(rope_table({}, at_position));  // of layers that do not turn

    h_ = at::empty_like(x_);
    attended_ = at::empty({n, spec_.q_dim()}, x_.options());
    qkv_ = at::empty({n, spec_.qkv_dim()}, x_.options());
    attn_branch_ = at::empty_like(x_);
    mlp_branch_ = at::empty_like(x_);
    const std::int64_t tile = std::min(n, kMlpTile);
    up_ = at::empty({tile, (spec_.gated_mlp ? 2 : 1) * spec_.d_ff}, x_.options());
    if (spec_.gated_mlp) active_ = at::empty({tile, spec_.d_ff}, x_.options());
  }

  /// The buffer `value` holds what a site is: its edits change it, then its readers get it. False
  /// when the pass needs nothing after it.
  bool visit(SiteKind kind, std::int64_t layer, at::Tensor& value) {
    const Site site{kind, static_cast<int>(layer)};
    edit(site, value);
    read(site, value);
    return needs_more_than(site);
  }

  void edit(const Site& site, at::Tensor& value) const {
    for (const SiteEdit& edit : request_.edits) {
      if (edit.site != site) continue;
      at::Tensor edited = value;
      edit.edit(edited);
      if (!edited.defined() || edited.sizes() != value.sizes() ||
          edited.scalar_type() != value.scalar_type() || edited.device() != value.device())
        bad_input(to_string(site), "an edit changed the shape, type or device of the value",
                  "edits must keep [n_tokens, d_model] and the dtype of the model");
      // What was assigned stays the caller's: the pass goes on to write into its own buffer.
      if (!edited.is_same(value)) value.copy_(edited.is_alias_of(value) ? edited.clone() : edited);
    }
  }

  void read(const Site& site, const at::Tensor& value) {
    for (std::size_t i = 0; i < request_.read.size(); ++i)
      if (request_.read[i] == site) output_.sites[i] = value.clone();
  }

  bool needs_more_than(const Site& site) const {
    return to_the_end_ || request_.cache != nullptr || order(site) < order(*highest_);
  }

  bool run_layer(std::int64_t layer) {
    const LayerWeights& w = weights_.layers[static_cast<std::size_t>(layer)];
    if (!visit(SiteKind::resid_pre, layer, x_)) return false;
    norm(spec_, w.attn_norm, x_, h_);
    run_attention(layer, w);
    at::Tensor attn = attn_branch_;
    multiply(w.attn_out, attended_, attn);
    if (!visit(SiteKind::attn_out, layer, attn)) return false;
    if (spec_.post_norms) norm(spec_, w.attn_post_norm, attn, attn);

    at::Tensor in = h_;
    if (spec_.parallel_residual)
      norm(spec_, w.mlp_norm, x_, in);
    else
      add_norm(spec_, w.mlp_norm, x_, attn, in);
    if (!visit(SiteKind::mlp_in, layer, in)) return false;
    at::Tensor mlp = mlp_branch_;
    run_mlp(w, in, mlp);
    if (!visit(SiteKind::mlp_out, layer, mlp)) return false;
    if (spec_.post_norms) norm(spec_, w.mlp_post_norm, mlp, mlp);
    if (!visit(SiteKind::mlp_post, layer, mlp)) return false;
    if (spec_.parallel_residual) mlp.add_(attn);
    x_.add_(mlp);
    return visit(SiteKind::resid_post, layer, x_);
  }

  /// h_ -> attended_
  void run_attention(std::int64_t layer, const LayerWeights& w) {
    const LayerAttention& kind = spec_.attention[static_cast<std::size_t>(layer)];
    multiply(w.qkv, h_, qkv_);
    rotate(spec_, w,
           kind.rope == LayerAttention::kNoRope ? ropes_.back()
                                                : ropes_[static_cast<std::size_t>(kind.rope)],
           qkv_);
    if (request_.cache != nullptr) {
      request_.cache->append(layer, spec_, qkv_, spans_);
    } else {
      for (AttentionSpan& span : spans_) {
        const auto* row =
            static_cast<const std::byte*>(qkv_.const_data_ptr()) +
            static_cast<std::size_t>(span.first_row * spec_.qkv_dim() + spec_.q_dim()) *
                qkv_.element_size();
        span.k = row;
        span.v = row + static_cast<std::size_t>(spec_.kv_dim()) * qkv_.element_size();
      }
    }
    attention(spec_, kind.window, qkv_, spans_, attended_);
  }

  void run_mlp(const LayerWeights& w, const at::Tensor& in, at::Tensor& out) {
    for (std::int64_t first = 0; first < in.size(0); first += kMlpTile) {
      const std::int64_t n = std::min(kMlpTile, in.size(0) - first);
      at::Tensor up = up_.narrow(0, 0, n), into = out.narrow(0, first, n);
      multiply(w.up, in.narrow(0, first, n), up);
      if (spec_.gated_mlp) {
        at::Tensor active = active_.narrow(0, 0, n);
        gate(spec_, up, active);
        multiply(w.down, active, into);
      } else {
        activate(spec_, up);
        multiply(w.down, up, into);
      }
    }
  }

  const ModelSpec& spec_;
  const Weights& weights_;
  const ForwardRequest& request_;
  const bool to_the_end_;
  std::optional<Site> highest_;
  DecoderOutput output_;

  std::vector<AttentionSpan> spans_;
  std::vector<RopeTable> ropes_;
  at::Tensor x_;                         // the residual stream
  at::Tensor h_;                         // what a block reads: the normed stream
  at::Tensor qkv_, attended_;            // inside the attention
  at::Tensor up_, active_;               // inside the MLP, a tile of tokens
  at::Tensor attn_branch_, mlp_branch_;  // what a block adds
};

}  // namespace

void check_sequence(const ModelSpec& spec, std::span<const std::int32_t> ids, std::int64_t n_past,
                    std::string_view where) {
  const std::int64_t length = n_past + static_cast<std::int64_t>(ids.size());
  if (spec.learned_positions && length > spec.max_positions)
    bad_input(
        where,
        fmt::format("expected sequences of at most {} tokens, got {}", spec.max_positions, length),
        "cut the text into shorter pieces");
  for (std::size_t t = 0; t < ids.size(); ++t)
    if (ids[t] < 0 || ids[t] >= spec.vocab_size)
      bad_input(where,
                fmt::format("expected token ids from 0 to {}, got {} at token {}",
                            spec.vocab_size - 1, ids[t], t),
                "leave out the text of that token, or use the tokenizer that belongs to the model");
}

std::uint64_t pass_bytes(const ModelSpec& spec, std::int64_t bytes_per_value, std::int64_t n_tokens,
                         std::int64_t n_sites) {
  // As allocated by Pass::prepare: x, h and the two branches; queries, keys, values and what was
  // attended.
  const std::int64_t a_token = (4 + n_sites) * spec.d_model + spec.qkv_dim() + spec.q_dim();
  const std::int64_t mlp = std::min(n_tokens, kMlpTile) * (spec.gated_mlp ? 3 : 1) * spec.d_ff;
  return static_cast<std::uint64_t>((n_tokens * a_token + mlp) * bytes_per_value);
}

DecoderOutput decode(const ModelSpec& spec, const Weights& weights, const ForwardRequest& request,
                     bool to_the_end) {
  check_request(spec, request);
  check_positions(spec, request);
  return Pass(spec, weights, request, to_the_end).run();
}

}  // namespace safesail
