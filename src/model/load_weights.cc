#include "model/load_weights.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <functional>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "base/units.h"
#include "formats/json.h"
#include "model/fill_rows.h"
#include "model/huge_pages.h"

namespace safesail {
namespace {

std::string shape_text(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::int64_t same_row(std::int64_t row) {
  return row;
}

/// Whether `name` is `pattern`, in which "*" stands for any text.
bool matches(std::string_view pattern, std::string_view name) {
  const std::size_t star = pattern.find('*');
  if (star == pattern.npos) return pattern == name;
  if (!name.starts_with(pattern.substr(0, star))) return false;
  const std::string_view rest = pattern.substr(star + 1);
  for (std::size_t at = star; at <= name.size(); ++at)
    if (matches(rest, name.substr(at))) return true;
  return false;
}

/// First walks over everything that the plan names and checks it; then allocates and fills.
class Loader {
 public:
  Loader(const ModelPlan& plan, const WeightSource& source, at::ScalarType dtype, Weights& weights)
      : spec_(plan.spec), map_(plan.map), source_(source), dtype_(dtype), weights_(weights) {
    find_prefix();
    plan_outer();
    weights.layers.resize(static_cast<std::size_t>(spec_.n_layers));
    for (std::int64_t layer = 0; layer < spec_.n_layers; ++layer) plan_layer(layer);
    refuse_unused();
    for (const Target& target : targets_) weights.bytes += target.bytes();
  }

  void fill(at::Device device, Reporter& reporter) {
    std::uint64_t done = 0;
    at::Tensor arena;
    if (device.is_cpu()) arena = empty_on_huge_pages({arena_bytes()}, at::kByte);
    std::int64_t offset = 0;
    for (Target& target : targets_) {
      const auto bytes = static_cast<std::int64_t>(target.bytes());
      *target.tensor = device.is_cpu()
                           ? arena.narrow(0, offset, bytes).view(target.dtype).view(target.shape)
                           : at::empty(target.shape, at::dtype(target.dtype));
      offset += aligned(bytes);
      fill_rows(target);
      if (!device.is_cpu()) *target.tensor = target.tensor->to(device);
      done += target.bytes();
      // The mapped pages of what has been converted would otherwise count as a second copy.
      source_.drop_pages();
      reporter.progress("load", done, weights_.bytes, "bytes", "");
    }
  }

 private:
  /// Each tensor begins at a cache line.
  static std::int64_t aligned(std::int64_t bytes) { return (bytes + 63) / 64 * 64; }

  std::int64_t arena_bytes() const {
    std::int64_t total = 0;
    for (const Target& target : targets_)
      total += aligned(static_cast<std::int64_t>(target.bytes()));
    return total;
  }

  // ---- Names

  void find_prefix() {
    for (const std::string& prefix : map_.prefixes)
      if (source_.find(prefix + map_.embedding + ".weight")) {
        prefix_ = prefix;
        return;
      }
    missing(map_.prefixes.front() + map_.embedding + ".weight");
  }

  std::string name(const std::string& module, std::int64_t layer) const {
    std::string full = prefix_ + module;
    if (const std::size_t at = full.find("{}"); at != std::string::npos)
      full.replace(at, 2, std::to_string(layer));
    return full;
  }

  [[noreturn]] void missing(const std::string& tensor) const {
    bad_input(
        source_.where(), fmt::format("expected a tensor \"{}\", found none", tensor),
        fmt::format("check that every file of this {} model is there and complete", spec_.family));
  }

  // ---- Planning

  Target& target(at::Tensor& tensor, Shape shape, at::ScalarType dtype) {
    return targets_.emplace_back(Target{&tensor, std::move(shape), dtype, 0, false, {}});
  }

  /// `stored`: the shape in the file of what becomes rows [first_row, ...) of `target`.
  void piece(Target& into, const std::string& tensor, const Shape& stored, std::int64_t first_row,
             std::int64_t n_rows, std::function<std::int64_t(std::int64_t)> source_row = same_row,
             bool transposed = false) {
    const std::optional<SourceTensor> found = source_.find(tensor);
    if (!found) missing(tensor);
    used_.insert(tensor);
    const Shape expected = transposed ? Shape(stored.rbegin(), stored.rend()) : stored;
    if (found->shape() != expected)
      bad_input(source_.where(),
                fmt::format("expected {} with shape {}, got {}", tensor, shape_text(expected),
                            shape_text(found->shape())),
                "check that the configuration belongs to these weights");
    if (!found->is_float())
      bad_input(
          source_.where(),
          fmt::format("expected {} as F32, F16, BF16 or F64, got {}", tensor, found->dtype_name()),
          "use weights that are not quantised, or a GGUF file");
    into.pieces.push_back({*found, first_row, n_rows, std::move(source_row), transposed});
  }

  void whole(at::Tensor& tensor, const std::string& name_in_file, Shape shape, at::ScalarType dtype,
             bool transposed = false) {
    Target& into = target(tensor, shape, dtype);
    piece(into, name_in_file, shape, 0, shape[0], same_row, transposed);
  }

  void norm(Norm& into, const std::string& module, std::int64_t width) {
    whole(into.weight, module + ".weight", {width}, at::kFloat);
    targets_.back().offset = map_.norm_offset;
    if (spec_.norm == NormKind::layer) whole(into.bias, module + ".bias", {width}, at::kFloat);
  }

  /// Whether the bias of `module` is to be read.
  bool has(Bias bias, const std::string& module) const {
    return bias == Bias::always || (bias == Bias::if_stored && source_.find(module + ".bias"));
  }

  void linear(Linear& into, const std::string& module, std::int64_t out, std::int64_t in,
              Bias bias) {
    whole(into.weight, module + ".weight", {out, in}, dtype_, map_.transposed);
    if (has(bias, module)) whole(into.bias, module + ".bias", {out}, dtype_);
  }

  void plan_outer() {
    const Shape embedding{spec_.vocab_size, spec_.d_model};
    whole(weights_.embedding, prefix_ + map_.embedding + ".weight", embedding, dtype_);
    if (spec_.learned_positions)
      whole(weights_.positions, prefix_ + map_.positions + ".weight",
            {spec_.max_positions, spec_.d_model}, dtype_);
    norm(weights_.final_norm, prefix_ + map_.final_norm, spec_.d_model);
    plan_head(embedding);
  }

  /// A head of its own counts wherever one is stored, as in transformers, unless it repeats the
  /// embedding.
  void plan_head(const Shape& shape) {
    for (const std::string& head : map_.heads) {
      const std::optional<SourceTensor> stored = source_.find(head + ".weight");
      if (!stored) continue;
      if (spec_.tied_head &&
          stored->same_bytes(*source_.find(prefix_ + map_.embedding + ".weight")))
        used_.insert(head + ".weight");
      else
        whole(weights_.head.weight, head + ".weight", shape, dtype_);
      return;
    }
    if (!spec_.tied_head) missing(map_.heads.front() + ".weight");
  }

  void plan_layer(std::int64_t layer) {
    LayerWeights& into = weights_.layers[static_cast<std::size_t>(layer)];
    const std::int64_t d = spec_.d_model;
    norm(into.attn_norm, name(map_.attn_norm, layer), d);
    norm(into.mlp_norm, name(map_.mlp_norm, layer), d);
    if (spec_.post_norms) {
      norm(into.attn_post_norm, name(map_.attn_post_norm, layer), d);
      norm(into.mlp_post_norm, name(map_.mlp_post_norm, layer), d);
    }
    if (spec_.qk_norm) {
      norm(into.q_norm, name(map_.q_norm, layer), spec_.head_dim);
      norm(into.k_norm, name(map_.k_norm, layer), spec_.head_dim);
    }
    plan_qkv(into.qkv, layer);
    linear(into.attn_out, name(map_.attn_out, layer), d, spec_.q_dim(), map_.attn_out_bias);
    if (spec_.gated_mlp)
      stack(into.up,
            {{name(map_.gate, layer), spec_.d_ff, same_row},
             {name(map_.up, layer), spec_.d_ff, same_row}},
            map_.mlp_bias);
    else
      linear(into.up, name(map_.up, layer), spec_.d_ff, d, map_.mlp_bias);
    linear(into.down, name(map_.down, layer), d, spec_.d_ff, map_.mlp_bias);
  }

  /// Modules whose rows lie one below the other in memory.
  struct Part {
    std::string module;
    std::int64_t n_rows;
    std::function<std::int64_t(std::int64_t)> source_row;
  };

  void stack(Linear& into, const std::vector<Part>& parts, Bias bias) {
    std::int64_t n_rows = 0;
    bool any_bias = false;
    for (const Part& part : parts) {
      n_rows += part.n_rows;
      any_bias = any_bias || has(bias, part.module);
    }
    Target& weight = target(into.weight, {n_rows, spec_.d_model}, dtype_);
    for (std::int64_t row = 0; const Part& part : parts) {
      piece(weight, part.module + ".weight", {part.n_rows, spec_.d_model}, row, part.n_rows,
            part.source_row);
      row += part.n_rows;
    }
    if (!any_bias) return;
    Target& biases = target(into.bias, {n_rows}, dtype_);
    for (std::int64_t row = 0; const Part& part : parts) {
      if (has(bias, part.module))
        piece(biases, part.module + ".bias", {part.n_rows}, row, part.n_rows, part.source_row);
      else
        biases.zeroed = true;  // the others have one
      row += part.n_rows;
    }
  }

  void plan_qkv(Linear& into, std::int64_t layer) {
    const std::int64_t q_dim = spec_.q_dim(), kv_dim = spec_.kv_dim(), hd = spec_.head_dim;
    if (map_.qkv_layout == QkvLayout::separate)
      return stack(into,
                   {{name(map_.q, layer), q_dim, rope_order(layer)},
                    {name(map_.k, layer), kv_dim, rope_order(layer)},
                    {name(map_.v, layer), kv_dim, same_row}},
                   map_.qkv_bias);
    const std::string module = name(map_.qkv, layer);
    if (map_.qkv_layout == QkvLayout::stacked)
      return linear(into, module, spec_.qkv_dim(), spec_.d_model, map_.qkv_bias);
    SAFESAIL_CHECK(spec_.n_kv_heads == spec_.n_heads && !map_.transposed);
    const auto by_head = [hd, q_dim](std::int64_t row) {
      const std::int64_t which = row / q_dim, head = row % q_dim / hd;
      return (head * 3 + which) * hd + row % hd;
    };
    stack(into, {{module, spec_.qkv_dim(), by_head}}, map_.qkv_bias);
  }

  /// From our row of a query or key to the file's. Where the file keeps the rows of a pair
  /// together, our row (half c, pair i) is its row (pair i, half c), in that part of a head that
  /// turns.
  std::function<std::int64_t(std::int64_t)> rope_order(std::int64_t layer) const {
    const int rope = spec_.attention[static_cast<std::size_t>(layer)].rope;
    if (!map_.paired_rope_rows || rope == LayerAttention::kNoRope) return same_row;
    return [hd = spec_.head_dim,
            half = std::ssize(spec_.ropes[static_cast<std::size_t>(rope)].inv_freq)](
               std::int64_t row) {
      const std::int64_t head = row / hd, at = row % hd;
      return at < 2 * half ? head * hd + 2 * (at % half) + at / half : row;
    };
  }

  /// What is left over would have changed the result.
  void refuse_unused() const {
    std::vector<std::string> unused;
    for (const std::string& tensor : source_.names()) {
      const bool harmless = std::ranges::any_of(
          map_.unused, [&](const std::string& pattern) { return matches(pattern, tensor); });
      if (!harmless && !used_.contains(tensor)) unused.push_back(printable(tensor));
    }
    if (unused.empty()) return;
    constexpr std::size_t kShown = 3;
    const std::size_t n = unused.size();
    unused.resize(std::min(n, kShown));
    bad_input(source_.where(),
              fmt::format("expected only tensors of a {} model of {} layers, got {} more: {}{}",
                          printable(spec_.family), spec_.n_layers, n, fmt::join(unused, ", "),
                          n > kShown ? "..." : ""),
              "the model computes something that is not known here; check that the configuration "
              "belongs to these weights");
  }

  const ModelSpec& spec_;
  const WeightMap& map_;
  const WeightSource& source_;
  const at::ScalarType dtype_;
  Weights& weights_;
  std::string prefix_;
  std::vector<Target> targets_;
  std::set<std::string, std::less<>> used_;  // names in the file
};

}  // namespace

Weights load_weights(const ModelPlan& plan, const WeightSource& source, at::ScalarType dtype,
                     at::Device device, Reporter& reporter) {
  Weights weights;
  Loader loader(plan, source, dtype, weights);
  reporter.note(fmt::format("{} weights in {}: {}", plan.spec.family,
                            dtype == at::kBFloat16 ? "bf16" : "f32", human_bytes(weights.bytes)));
  if (device.is_cpu())
    require_memory(weights.bytes, "the weights",
                   dtype == at::kFloat ? "use bf16, a smaller model, or close other programs"
                                       : "use a smaller model, or close other programs");
  loader.fill(device, reporter);
  if (!weights.head.weight.defined()) weights.head.weight = weights.embedding;
  return weights;
}

}  // namespace safesail
