#include "model/prefix_cache.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <malloc.h>
#include <vector>

#include "base/error.h"
#include "base/memory.h"

namespace safesail {
namespace {

/// Where the piece that begins at `begin` ends in a prompt of `n` tokens.
std::size_t piece_end(std::size_t begin, std::size_t n, std::span<const std::size_t> seams) {
  const std::size_t end = std::min(begin + PrefixCache::kPiece, n);
  const auto seam = std::ranges::lower_bound(seams, begin + PrefixCache::kShortest);
  return seam == seams.end() ? end : std::min(end, *seam);
}

}  // namespace

struct PrefixCache::Piece {
  const Piece* before;  ///< nullptr: it opens the prompt
  std::vector<std::int32_t> ids;
  at::Tensor rows;  ///< as KvCache::copy gives them
  std::uint64_t bytes;
};

PrefixCache::PrefixCache(const LanguageModel& model, std::uint64_t most_bytes)
    : model_(model), most_(most_bytes), room_(most_bytes) {}

PrefixCache::~PrefixCache() = default;

PrefixCache::Place PrefixCache::find(const Piece* before, std::span<const std::int32_t> ids) {
  return std::ranges::find_if(pieces_, [&](const Piece& piece) {
    return piece.before == before && std::ranges::equal(piece.ids, ids);
  });
}

/// Before all others, each behind the one that it continues.
void PrefixCache::touch(const std::vector<Place>& path) {
  for (auto place = path.rbegin(); place != path.rend(); ++place)
    pieces_.splice(pieces_.begin(), pieces_, *place);
}

bool PrefixCache::make_room(std::uint64_t bytes, const std::vector<Place>& path) {
  if (bytes > room_) return false;
  while (bytes_ + bytes > room_) {
    const auto last = std::prev(pieces_.end());
    if (!path.empty() && last == path.back()) return false;
    bytes_ -= last->bytes;
    pieces_.erase(last);
  }
  return true;
}

/// Of the last tokens of `cache`.
bool PrefixCache::keep(std::span<const std::int32_t> ids, const KvCache& cache,
                       std::vector<Place>& path) {
  const std::uint64_t bytes =
      ids.size() * (KvCache::bytes_per_token(model_) + sizeof(ids[0])) + sizeof(Piece);
  if (!make_room(bytes, path)) return false;
  const auto n = static_cast<std::int64_t>(ids.size());
  pieces_.push_front({.before = path.empty() ? nullptr : &*path.back(),
                      .ids = {ids.begin(), ids.end()},
                      .rows = cache.rows(0, cache.length(0) - n, n),
                      .bytes = bytes});
  bytes_ += bytes;
  path.push_back(pieces_.begin());
  touch(path);
  return true;
}

PrefixCache::Opening PrefixCache::open(std::span<const std::int32_t> ids,
                                       std::span<const std::size_t> seams, KvCache& cache) {
  SAFESAIL_CHECK(!ids.empty() && cache.n_sequences() == 1 && cache.length(0) == 0);
  SAFESAIL_CHECK(std::ranges::is_sorted(seams));
  const auto n = static_cast<std::int32_t>(ids.size());
  cache.reserve(std::vector<std::int32_t>{0, n});
  Opening opening;
  std::vector<Place> path;  // the pieces of this prompt that are kept
  bool is_kept = true;      // what was read so far: else there is nothing to continue
  for (;;) {
    const std::size_t end = piece_end(opening.n_tokens, ids.size(), seams);
    if (end == ids.size()) return opening;
    const auto piece = ids.subspan(opening.n_tokens, end - opening.n_tokens);
    opening.n_tokens = end;
    const Place known =
        is_kept ? find(path.empty() ? nullptr : &*path.back(), piece) : pieces_.end();
    if (known != pieces_.end()) {
      cache.extend(0, known->rows);
      path.push_back(known);
      touch(path);
      opening.n_known = end;
      continue;
    }
    const std::vector<std::int32_t> starts{0, static_cast<std::int32_t>(piece.size())};
    model_.forward({.ids = piece, .starts = starts, .cache = &cache});
    is_kept = is_kept && keep(piece, cache, path);
  }
}

void PrefixCache::leave(std::uint64_t bytes) {
  const std::uint64_t available = available_memory_bytes(), before = bytes_;
  room_ = available < bytes ? bytes_ - std::min(bytes_, bytes - available)
                            : std::min(most_, bytes_ + std::min(most_, available - bytes));
  make_room(0, {});
  // The allocator may keep what is freed; available is what the system has back.
  if (bytes_ < before) ::malloc_trim(0);
}

}  // namespace safesail
