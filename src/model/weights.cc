#include "model/weights.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <functional>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "base/units.h"
#include "model/huge_pages.h"

namespace safesail {
namespace {

using Shape = std::vector<std::int64_t>;

std::string shape_text(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

/// Part of a tensor in memory: its rows [first_row, first_row + n_rows) are filled from the tensor
/// `source` of the file, whose row for our row r (counted from first_row) is source_row(r).
struct Piece {
  SourceTensor source;
  std::int64_t first_row, n_rows;
  std::function<std::int64_t(std::int64_t)> source_row;
  bool transposed;
};

struct Target {
  at::Tensor* tensor;
  Shape shape;
  at::ScalarType dtype;
  double offset = 0;
  std::vector<Piece> pieces;

  std::uint64_t bytes() const {
    std::uint64_t n = c10::elementSize(dtype);
    for (std::int64_t size : shape) n *= static_cast<std::uint64_t>(size);
    return n;
  }
};

std::int64_t same_row(std::int64_t row) {
  return row;
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
      for (const Piece& piece : target.pieces) fill_piece(target, piece);
      if (target.offset != 0) target.tensor->add_(target.offset);
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
    return targets_.emplace_back(Target{&tensor, std::move(shape), dtype, 0, {}});
  }

  /// `stored`: the shape in the file of what becomes rows [first_row, ...) of `target`.
  void piece(Target& into, const std::string& tensor, const Shape& stored, std::int64_t first_row,
             std::int64_t n_rows, std::function<std::int64_t(std::int64_t)> source_row = same_row,
             bool transposed = false) {
    const std::optional<SourceTensor> found = source_.find(tensor);
    if (!found) missing(tensor);
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

  void linear(Linear& into, const std::string& module, std::int64_t out, std::int64_t in,
              bool bias) {
    whole(into.weight, module + ".weight", {out, in}, dtype_, map_.transposed);
    if (bias) whole(into.bias, module + ".bias", {out}, dtype_);
  }

  void plan_outer() {
    const Shape embedding{spec_.vocab_size, spec_.d_model};
    whole(weights_.embedding, prefix_ + map_.embedding + ".weight", embedding, dtype_);
    if (spec_.learned_positions)
      whole(weights_.positions, prefix_ + map_.positions + ".weight",
            {spec_.max_positions, spec_.d_model}, dtype_);
    norm(weights_.final_norm, prefix_ + map_.final_norm, spec_.d_model);
    if (spec_.tied_head) return;
    for (const std::string& head : map_.heads)
      if (source_.find(head + ".weight")) {
        whole(weights_.head.weight, head + ".weight", embedding, dtype_);
        if (spec_.head_bias) whole(weights_.head.bias, head + ".bias", {spec_.vocab_size}, dtype_);
        return;
      }
    missing(map_.heads.front() + ".weight");
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
    qkv(into.qkv.weight, ".weight", layer, true);
    if (spec_.qkv_bias) qkv(into.qkv.bias, ".bias", layer, false);
    linear(into.attn_out, name(map_.attn_out, layer), d, spec_.q_dim(), spec_.attention_out_bias);
    if (spec_.gated_mlp) {
      gate_up(into.up.weight, ".weight", layer, true);
      if (spec_.mlp_bias) gate_up(into.up.bias, ".bias", layer, false);
    } else {
      linear(into.up, name(map_.up, layer), spec_.d_ff, d, spec_.mlp_bias);
    }
    linear(into.down, name(map_.down, layer), d, spec_.d_ff, spec_.mlp_bias);
  }

  Shape rows(std::int64_t n, bool matrix) const {
    return matrix ? Shape{n, spec_.d_model} : Shape{n};
  }

  void gate_up(at::Tensor& tensor, const std::string& suffix, std::int64_t layer, bool matrix) {
    Target& into = target(tensor, rows(2 * spec_.d_ff, matrix), dtype_);
    piece(into, name(map_.gate, layer) + suffix, rows(spec_.d_ff, matrix), 0, spec_.d_ff);
    piece(into, name(map_.up, layer) + suffix, rows(spec_.d_ff, matrix), spec_.d_ff, spec_.d_ff);
  }

  void qkv(at::Tensor& tensor, const std::string& suffix, std::int64_t layer, bool matrix) {
    const std::int64_t q_dim = spec_.q_dim(), kv_dim = spec_.kv_dim(), hd = spec_.head_dim;
    Target& into = target(tensor, rows(spec_.qkv_dim(), matrix), dtype_);
    if (map_.qkv_layout == QkvLayout::separate) {
      std::function<std::int64_t(std::int64_t)> order = same_row;
      if (map_.paired_rope_rows)  // our row (half c, pair i) is the file's row (pair i, half c)
        order = [hd](std::int64_t row) {
          const std::int64_t head = row / hd, c = row % hd / (hd / 2), i = row % hd % (hd / 2);
          return head * hd + 2 * i + c;
        };
      piece(into, name(map_.q, layer) + suffix, rows(q_dim, matrix), 0, q_dim, order);
      piece(into, name(map_.k, layer) + suffix, rows(kv_dim, matrix), q_dim, kv_dim, order);
      piece(into, name(map_.v, layer) + suffix, rows(kv_dim, matrix), q_dim + kv_dim, kv_dim);
    } else if (map_.qkv_layout == QkvLayout::stacked) {
      piece(into, name(map_.qkv, layer) + suffix, rows(spec_.qkv_dim(), matrix), 0, spec_.qkv_dim(),
            same_row, matrix && map_.transposed);
    } else {
      piece(into, name(map_.qkv, layer) + suffix, rows(spec_.qkv_dim(), matrix), 0, spec_.qkv_dim(),
            [hd, q_dim](std::int64_t row) {
              const std::int64_t which = row / q_dim, head = row % q_dim / hd;
              return (head * 3 + which) * hd + row % hd;
            });
    }
  }

  // ---- Filling

  static void read_row(const SourceTensor& source, std::int64_t first, float* out, std::int64_t n) {
    source.read(first, {out, static_cast<std::size_t>(n)});
  }
  static void read_row(const SourceTensor& source, std::int64_t first, at::BFloat16* out,
                       std::int64_t n) {
    source.read_bf16(first, {reinterpret_cast<std::uint16_t*>(out), static_cast<std::size_t>(n)});
  }

  template <class T>
  static void fill_piece(T* out, const Target& target, const Piece& piece) {
    const bool matrix = target.shape.size() == 2;
    if (!matrix && piece.n_rows > 0) {
      // Quantised vectors are read whole: an element may lie inside a block.
      std::vector<T> values(static_cast<std::size_t>(piece.n_rows));
      read_row(piece.source, 0, values.data(), piece.n_rows);
      for (std::int64_t row = 0; row < piece.n_rows; ++row)
        out[piece.first_row + row] = values[static_cast<std::size_t>(piece.source_row(row))];
      return;
    }
    const std::int64_t columns = target.shape[1];
    if (piece.transposed) {
      // The file's row is our column; a tile of file rows is read and turned.
      constexpr std::int64_t kTile = 16;
      at::parallel_for(
          0, (columns + kTile - 1) / kTile, 1, [&](std::int64_t begin, std::int64_t end) {
            std::vector<T> tile(static_cast<std::size_t>(kTile * piece.n_rows));
            for (std::int64_t first = begin * kTile; first < std::min(end * kTile, columns);
                 first += kTile) {
              const std::int64_t n = std::min(kTile, columns - first);
              read_row(piece.source, first * piece.n_rows, tile.data(), n * piece.n_rows);
              for (std::int64_t row = 0; row < piece.n_rows; ++row)
                for (std::int64_t c = 0; c < n; ++c)
                  out[(piece.first_row + row) * columns + first + c] =
                      tile[static_cast<std::size_t>(c * piece.n_rows + row)];
            }
          });
      return;
    }
    const std::int64_t grain = std::max<std::int64_t>(1, 32768 / columns);
    at::parallel_for(0, piece.n_rows, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row)
        read_row(piece.source, piece.source_row(row) * columns,
                 out + (piece.first_row + row) * columns, columns);
    });
  }

  static void fill_piece(const Target& target, const Piece& piece) {
    if (target.dtype == at::kBFloat16)
      fill_piece(target.tensor->data_ptr<at::BFloat16>(), target, piece);
    else
      fill_piece(target.tensor->data_ptr<float>(), target, piece);
  }

  const ModelSpec& spec_;
  const WeightMap& map_;
  const WeightSource& source_;
  const at::ScalarType dtype_;
  Weights& weights_;
  std::string prefix_;
  std::vector<Target> targets_;
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
  if (plan.spec.tied_head) weights.head.weight = weights.embedding;
  return weights;
}

}  // namespace safesail
