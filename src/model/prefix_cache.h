// What prompts have in common, read once: keys and values of earlier prompts, of which a new one
// takes the longest opening that it shares with any of them.
//
// A prompt is read in pieces, each in a pass of its own: up to kPiece tokens, and up to the next
// seam. Where it is cut follows from its own tokens and seams, never from what is known, and a
// piece is known whole or not at all. So the same prompt gives the same bits, whether its opening
// was known or not, whoever came before and however little room there is.
//
// The pieces lie in the machine's memory, also where the model runs on a GPU. Beyond their room
// the last used go last; a piece outlives those that continue it. Prompts stay until then. One
// thread; the model must outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <span>
#include <vector>

#include "model/kv_cache.h"
#include "model/language_model.h"

namespace safesail {

class PrefixCache {
 public:
  /// As fast as longer ones to a few percent, and what is read again at a seam that nobody named is
  /// half of it on average.
  static constexpr std::size_t kPiece = 128;
  /// A seam sooner than this after the last cut is passed over: a pass costs the reading of all
  /// weights.
  static constexpr std::size_t kShortest = 16;

  /// Holds at most `most_bytes`; 0: nothing.
  PrefixCache(const LanguageModel& model, std::uint64_t most_bytes);
  ~PrefixCache();
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  struct Opening {
    std::size_t n_tokens = 0;  ///< of the prompt that are in the cache now; fewer than it has
    std::size_t n_known = 0;   ///< of these, read for an earlier prompt
  };
  /// Brings all pieces of the prompt `ids` but the last into `cache`, which has one sequence and no
  /// token. `seams`: where prompts that open alike are likely to part (the starts of messages),
  /// rising. An environment error where memory is too little.
  Opening open(std::span<const std::int32_t> ids, std::span<const std::size_t> seams,
               KvCache& cache);

  /// Holds from now on only so much that others can have `bytes` of the machine's memory.
  void leave(std::uint64_t bytes);
  std::uint64_t bytes() const { return bytes_; }

 private:
  struct Piece;
  using Place = std::list<Piece>::iterator;
  Place find(const Piece* before, std::span<const std::int32_t> ids);
  void touch(const std::vector<Place>& path);
  /// Drops pieces until `bytes` more fit; false where none but those of `path` are left.
  bool make_room(std::uint64_t bytes, const std::vector<Place>& path);
  bool keep(std::span<const std::int32_t> ids, const KvCache& cache, std::vector<Place>& path);

  const LanguageModel& model_;
  const std::uint64_t most_;
  std::uint64_t room_, bytes_ = 0;
  std::list<Piece> pieces_;  // the last used first, each before those that continue it
};

}  // namespace safesail
