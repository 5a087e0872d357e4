// Keys and values of sequences under way, so that a token costs one row of work and not its whole
// past. Each sequence has room of its own, which grows as it is used. Owned by whoever generates; a
// forward that is given it continues its sequences and appends. Used by one forward at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/attention.h"
#include "model/spec.h"

namespace at {
class Tensor;
}

namespace safesail {

class LanguageModel;

class KvCache {
 public:
  /// Without any sequence. The model must outlive it.
  explicit KvCache(const LanguageModel& model);
  KvCache(const LanguageModel& model, std::int64_t n_sequences, std::int64_t longest);
  ~KvCache();
  KvCache(KvCache&&) noexcept;
  KvCache& operator=(KvCache&&) noexcept;

  std::int64_t n_sequences() const { return static_cast<std::int64_t>(sequences_.size()); }
  /// Tokens of sequence `s` so far.
  std::int64_t length(std::int64_t s) const;
  /// Bytes that all sequences have room for by now.
  std::uint64_t bytes() const;
  /// Adds empty sequences behind the others. The room of each grows by doubling, but not beyond
  /// `longest` tokens until it has more.
  void add(std::int64_t n_sequences, std::int64_t longest);
  /// Puts the sequences of `other`, of the same model, behind the others.
  void take(KvCache other);
  /// Keeps only the sequences `kept`, in that order, which rises.
  void keep(std::span<const std::int64_t> kept);
  /// Makes room for starts[s + 1] - starts[s] more tokens of every sequence s.
  void reserve(std::span<const std::int32_t> starts);

  /// A copy of `n` tokens of sequence `s` from `first` on, in the machine's memory:
  /// [n_layers, n, 2 kv_dim].
  at::Tensor rows(std::int64_t s, std::int64_t first, std::int64_t n) const;
  /// Appends such a copy to sequence `s`, which has room for it.
  void extend(std::int64_t s, const at::Tensor& rows);

  // ---- For the forward pass.

  /// Copies the new keys and values out of qkv [n_tokens, qkv_dim] and points `spans` at them.
  void append(std::int64_t layer, const ModelSpec& spec, const at::Tensor& qkv,
              std::span<AttentionSpan> spans);
  /// After the last layer: the new tokens now count.
  void advance(std::span<const std::int32_t> starts);

  /// Bytes that one token of one sequence takes in the model.
  static std::uint64_t bytes_per_token(const LanguageModel& model);

 private:
  struct Sequence {
    std::vector<at::Tensor> layers;  ///< [capacity, 2 kv_dim] each: keys, values
    std::int64_t length = 0, capacity = 0, longest = 0;
  };
  void enlarge(Sequence& sequence, std::int64_t capacity) const;

  const LanguageModel* model_;
  std::vector<Sequence> sequences_;
};

}  // namespace safesail
