#include "select/random_floor.h"

#include <map>
#include <string>
#include <tuple>

#include "base/hash.h"

namespace safesail {

RandomFloor::RandomFloor(const std::vector<EvaluationCell>& trained, std::uint64_t seed) {
  std::map<std::tuple<std::string, std::int64_t, std::int64_t>, std::int64_t> known;
  for (const EvaluationCell& cell : trained) {
    if (cell.id.k <= 0) {
      of.push_back(-1);
      continue;
    }
    const auto [found, is_new] =
        known.try_emplace(std::tuple(cell.id.site, cell.id.n_features, cell.id.k),
                          static_cast<std::int64_t>(cells.size()));
    of.push_back(found->second);
    if (!is_new) continue;
    const SaeSpec spec = SaeSpec::topk(cell.sae.spec().d_in, cell.id.n_features, cell.id.k);
    cells.push_back(make_cell(
        cell.input, cell.input,
        Sae::random(spec, cell.sae.transform(), seed ^ hash64("random floor " + cell.id.site)),
        seed));
  }
}

}  // namespace safesail
