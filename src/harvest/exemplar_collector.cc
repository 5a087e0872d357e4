#include "harvest/exemplar_collector.h"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "harvest/token_mass.h"
#include "harvest/value_histogram.h"
#include "harvest/window_cutter.h"
#include "harvest/window_pool.h"

namespace safesail {
namespace {

constexpr double kQuantile = 0.999;
constexpr std::size_t kFiresOn = 20;

struct Kept {
  Window window;
  std::uint64_t hash = 0;
  float max = 0;
};
bool stronger(const Kept& a, const Kept& b) {
  return std::tuple(-a.max, a.hash) < std::tuple(-b.max, b.hash);
}

struct Reservoir {
  std::vector<Kept> kept;
  std::uint64_t n_offered = 0;
};

/// One wanted feature.
struct Collected {
  ValueHistogram values;
  TokenMass mass;
  std::vector<std::uint64_t> n_active;  ///< [n_parts] tokens on which it fired
  float scale = 0;                      ///< quantile so far
  std::uint64_t n_at_scale = 0;
  std::array<std::uint64_t, 3> n_firing_windows{};
  std::array<std::vector<Kept>, 3> top;  ///< heaps, the weakest in front
  std::array<std::array<Reservoir, kMaxLevel + 1>, 3> levels;

  void refresh_scale() {
    if (values.n() * 10 < n_at_scale * 11) return;
    scale = values.quantile(kQuantile);
    n_at_scale = values.n();
  }
};

/// Feature `slot` fires with `value` at row `row` of the batch.
struct Hit {
  std::int32_t slot = 0;
  std::size_t row = 0;
  float value = 0;
};

}  // namespace

struct ExemplarCollector::Impl {
  Impl(std::vector<WantedFeatures> wanted_features, std::size_t n_parts, ExemplarConfig settings)
      : wanted(std::move(wanted_features)),
        config(settings),
        rng(config.seed, "exemplars"),
        n_tokens(n_parts) {
    for (const WantedFeatures& sae : wanted) {
      std::vector<std::int32_t>& slots = slot_of.emplace_back(sae.n_features, -1);
      for (const std::int32_t feature : sae.features) {
        SAFESAIL_CHECK(feature >= 0 && feature < sae.n_features);
        slots[static_cast<std::size_t>(feature)] = static_cast<std::int32_t>(collected.size());
        collected.emplace_back().n_active.resize(n_parts);
      }
    }
    for (const Use use : kUses)
      pools.emplace_back(config.pool_windows, config.seed,
                         0x706f6f6c + static_cast<std::uint64_t>(use));
    recent.assign(std::size_t{1} << 20, 0);
  }

  void add(const CodedBatch& batch);
  /// visit(hit) wherever a wanted feature fires in n_rows rows from first_row on.
  template <class Visit>
  void each_hit(const CodedBatch& batch, std::size_t first_row, std::size_t n_rows,
                const Visit& visit) const;
  std::vector<Hit> hits_of(const CodedBatch& batch, const WindowRows& rows) const;
  void count(const CodedBatch& batch);
  void offer(Collected& feature, const CodedBatch& batch, const WindowRows& rows, Use use,
             std::span<const Hit> hits);
  /// Whether it stood among the last million or so windows.
  bool seen(std::uint64_t hash) {
    std::uint64_t& place = recent[hash & (recent.size() - 1)];
    return std::exchange(place, hash) == hash;
  }
  std::vector<Exemplar> choose(std::int32_t slot, float quantile,
                               std::span<const WeightedToken> fires_on);

  std::vector<WantedFeatures> wanted;
  ExemplarConfig config;
  Rng rng;
  std::vector<std::vector<std::int32_t>> slot_of;  // [sae][feature] -> slot or -1
  std::vector<Collected> collected;                // [slot]
  std::vector<WindowPool> pools;                   // [use]
  std::vector<std::uint64_t> recent;
  std::vector<std::uint64_t> n_tokens;  // [n_parts]
};

ExemplarCollector::ExemplarCollector(std::vector<WantedFeatures> wanted, std::size_t n_parts,
                                     ExemplarConfig config)
    : impl_(std::make_unique<Impl>(std::move(wanted), n_parts, config)) {}
ExemplarCollector::~ExemplarCollector() = default;

std::uint64_t ExemplarCollector::bytes_at_most() const {
  const ExemplarConfig& config = impl_->config;
  // A token: its id, its place, its activation and some six bytes of text.
  const auto window = static_cast<std::uint64_t>(config.window_tokens) * 18 + 200;
  const auto kept = static_cast<std::uint64_t>(config.n_top) +
                    11 * static_cast<std::uint64_t>(config.n_per_level);
  return impl_->collected.size() * (3 * kept * window + 40'000 + 8 * impl_->n_tokens.size()) +
         3 * config.pool_windows * (window + 2'000) + impl_->recent.size() * sizeof(std::uint64_t);
}

void ExemplarCollector::add(const CodedBatch& batch) {
  impl_->add(batch);
}

void ExemplarCollector::Impl::add(const CodedBatch& batch) {
  SAFESAIL_CHECK(batch.codes.size() == wanted.size());
  for (const CodedPiece& piece : batch.pieces) n_tokens.at(piece.part) += piece.n_rows;
  count(batch);
  for (const WindowRows& rows : cut_windows(batch, config.window_tokens, config.min_tokens)) {
    if (seen(rows.hash)) continue;
    const Use use = use_of_document(batch.pieces[rows.piece].likeness, config.explain_share,
                                    config.calibrate_share);
    const std::vector<Hit> hits = hits_of(batch, rows);
    std::vector<std::int32_t> firing;
    for (std::size_t first = 0; first < hits.size();) {
      std::size_t last = first;
      while (last < hits.size() && hits[last].slot == hits[first].slot) ++last;
      firing.push_back(hits[first].slot);
      offer(collected[static_cast<std::size_t>(hits[first].slot)], batch, rows, use,
            std::span(hits).subspan(first, last - first));
      first = last;
    }
    WindowPool& pool = pools[static_cast<std::size_t>(use)];
    if (pool.wants(rows.hash)) pool.keep({make_window(batch, rows), rows.hash, std::move(firing)});
  }
}

template <class Visit>
void ExemplarCollector::Impl::each_hit(const CodedBatch& batch, std::size_t first_row,
                                       std::size_t n_rows, const Visit& visit) const {
  for (std::size_t s = 0; s < wanted.size(); ++s) {
    const SparseCodes& codes = batch.codes[s];
    for (std::size_t row = first_row; row < first_row + n_rows; ++row)
      for (std::int64_t i = codes.offsets[row]; i < codes.offsets[row + 1]; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const std::int32_t slot = slot_of[s][static_cast<std::size_t>(codes.indices[at])];
        if (slot >= 0) visit(Hit{slot, row, codes.values[at]});
      }
  }
}

std::vector<Hit> ExemplarCollector::Impl::hits_of(const CodedBatch& batch,
                                                  const WindowRows& rows) const {
  std::vector<Hit> hits;
  each_hit(batch, rows.first_row, rows.n_rows, [&](const Hit& hit) { hits.push_back(hit); });
  std::ranges::sort(hits, {}, [](const Hit& hit) { return std::pair(hit.slot, hit.row); });
  return hits;
}

void ExemplarCollector::Impl::count(const CodedBatch& batch) {
  for (const CodedPiece& piece : batch.pieces)
    each_hit(batch, piece.first_row, piece.n_rows, [&](const Hit& hit) {
      Collected& feature = collected[static_cast<std::size_t>(hit.slot)];
      feature.values.add(hit.value);
      feature.mass.add(batch.ids[hit.row], hit.value);
      ++feature.n_active[piece.part];
    });
  for (Collected& feature : collected) feature.refresh_scale();
}

void ExemplarCollector::Impl::offer(Collected& feature, const CodedBatch& batch,
                                    const WindowRows& rows, Use use, std::span<const Hit> hits) {
  const auto u = static_cast<std::size_t>(use);
  ++feature.n_firing_windows[u];
  const float max = std::ranges::max(hits, {}, &Hit::value).value;
  const auto make = [&] {
    Kept kept{make_window(batch, rows), rows.hash, max};
    for (const Hit& hit : hits) kept.window.activation[hit.row - rows.first_row] = hit.value;
    return kept;
  };
  std::vector<Kept>& top = feature.top[u];
  if (top.size() < static_cast<std::size_t>(config.n_top)) {
    top.push_back(make());
    std::ranges::push_heap(top, stronger);
  } else if (!top.empty() && max > top.front().max) {
    std::ranges::pop_heap(top, stronger);
    top.back() = make();
    std::ranges::push_heap(top, stronger);
  }
  Reservoir& level =
      feature.levels[u][static_cast<std::size_t>(activation_level(max, feature.scale))];
  ++level.n_offered;
  if (level.kept.size() < static_cast<std::size_t>(config.n_per_level))
    level.kept.push_back(make());
  else if (const auto place = rng.below(level.n_offered); place < level.kept.size())
    level.kept[static_cast<std::size_t>(place)] = make();
}

std::vector<Exemplar> ExemplarCollector::Impl::choose(std::int32_t slot, float quantile,
                                                      std::span<const WeightedToken> fires_on) {
  Collected& feature = collected[static_cast<std::size_t>(slot)];
  std::vector<std::int32_t> tokens;
  for (const WeightedToken& token : fires_on.first(std::min<std::size_t>(fires_on.size(), 10)))
    tokens.push_back(token.id);

  std::vector<Exemplar> chosen;
  std::unordered_set<std::uint64_t> taken;  // of all uses: no text serves two of them
  for (const Use use : kUses) {
    const auto u = static_cast<std::size_t>(use);
    const auto take = [&](Window window, std::uint64_t hash, WindowKind kind) {
      if (!taken.insert(hash).second) return false;
      const int level = activation_level(window.max_activation(), quantile);
      chosen.push_back({std::move(window), use, kind, level});
      return true;
    };
    std::vector<Kept>& top = feature.top[u];
    std::ranges::sort(top, stronger);
    for (Kept& kept : top) take(std::move(kept.window), kept.hash, WindowKind::top);

    std::array<int, kMaxLevel + 1> n_at_level{};
    for (Reservoir& level : feature.levels[u]) {
      for (Kept& kept : level.kept) {
        int& n = n_at_level[static_cast<std::size_t>(activation_level(kept.max, quantile))];
        if (n < config.n_per_level) n += take(std::move(kept.window), kept.hash, WindowKind::level);
      }
    }
    const auto take_from_pool = [&](const std::vector<std::size_t>& windows, int n,
                                    WindowKind kind) {
      const std::vector<PooledWindow>& pool = pools[u].windows();
      for (std::size_t i = 0; i < windows.size() && n > 0; ++i)
        n -= take(pool[windows[i]].window, pool[windows[i]].hash, kind);
    };
    const WindowPool& pool = pools[u];
    take_from_pool(pool.silent_with_tokens(slot, tokens), config.n_hard, WindowKind::hard_token);
    take_from_pool(pool.silent_with_companions(slot), config.n_hard, WindowKind::hard_cofiring);
    take_from_pool(pool.silent(slot), config.n_silent, WindowKind::silent);
  }
  return chosen;
}

std::vector<FeatureRecord> ExemplarCollector::finish(
    const std::function<std::string(std::int32_t)>& spell,
    std::span<const std::string> part_names) {
  Impl& all = *impl_;
  SAFESAIL_CHECK(part_names.size() == all.n_tokens.size());
  for (WindowPool& pool : all.pools) pool.index();
  std::vector<FeatureRecord> records;
  for (const WantedFeatures& sae : all.wanted)
    for (const std::int32_t number : sae.features) {
      const auto slot = static_cast<std::int32_t>(records.size());
      Collected& feature = all.collected[records.size()];
      FeatureRecord record{.sae = sae.sae, .site = sae.site, .feature = number};
      for (std::size_t part = 0; part < part_names.size(); ++part)
        record.parts.push_back({part_names[part], all.n_tokens[part], feature.n_active[part]});
      record.n_tokens = std::reduce(all.n_tokens.begin(), all.n_tokens.end());
      record.n_active = feature.values.n();
      record.max_activation = feature.values.max();
      record.quantile = feature.values.quantile(kQuantile);
      record.histogram = feature.values.linear(kHistogramBins);
      record.fires_on = feature.mass.heaviest(kFiresOn);
      for (WeightedToken& token : record.fires_on) token.text = spell(token.id);
      record.n_firing_windows = feature.n_firing_windows;
      record.exemplars = all.choose(slot, record.quantile, record.fires_on);
      feature = {};
      records.push_back(std::move(record));
    }
  return records;
}

}  // namespace safesail
