#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "formats/json.h"
#include "train/evaluate.h"

namespace safesail {
namespace {

using nlohmann::json;

/// `name`, and `name`_interval where there is one. NaN is written as null.
void put(json& object, const std::string& name, const Estimate& estimate) {
  object[name] = estimate.value;
  if (estimate.has_interval()) object[name + "_interval"] = {estimate.low, estimate.high};
}

void put_losses(json& object, const SplicedLoss& loss) {
  object["n_loss_tokens"] = loss.n_tokens;
  put(object, "loss_clean", loss.clean);
  put(object, "loss_spliced", loss.spliced);
  put(object, "loss_zero_ablated", loss.zero_ablated);
  put(object, "loss_mean_ablated", loss.mean_ablated);
  put(object, "delta_loss", loss.delta);
  put(object, "kl", loss.kl);
  put(object, "kl_zero_ablated", loss.kl_zero_ablated);
  put(object, "kl_mean_ablated", loss.kl_mean_ablated);
  put(object, "loss_recovered", loss.recovered);
  put(object, "loss_recovered_from_mean", loss.recovered_from_mean);
  for (const PositionResult& bucket : loss.by_position)
    object["by_position"].push_back({{"first", bucket.first},
                                     {"last", bucket.last},
                                     {"n_tokens", bucket.n_tokens},
                                     {"delta_loss", bucket.delta},
                                     {"kl", bucket.kl},
                                     {"fvu", bucket.fvu}});
}

}  // namespace

std::string to_json(const CellResult& result) {
  const SaeIdentity& id = result.id;
  json object{{"site", id.site},
              {"output_site", id.output_site},
              {"architecture", id.architecture},
              {"k", id.k},
              {"n_features", id.n_features},
              {"seed", id.seed},
              {"path", id.path},
              {"n_tokens", result.n_tokens},
              {"n_documents", result.n_documents},
              {"l0_quantiles", result.l0_quantiles},
              {"dead_share", result.dead_share},
              {"scale_to_fit", result.scale_to_fit},
              {"norm_ratio", result.norm_ratio},
              {"cosine", result.cosine},
              {"density",
               {{"log10_lowest", kLowestDensity},
                {"log10_highest", 0},
                {"bins", result.density},
                {"never", result.n_never_fired}}}};
  put(object, "fvu", result.fvu);
  put(object, "l0", result.l0);
  if (result.loss.n_tokens > 0) put_losses(object, result.loss);
  for (const SeedAgreement& other : result.agreement)
    object["agreement"].push_back({{"seed", other.seed},
                                   {"matched_share", other.features.matched_share},
                                   {"mean_max_cosine", other.features.mean_max_cosine},
                                   {"mean_max_cosine_back", other.features.mean_max_cosine_back}});
  return dump_json(object);
}

}  // namespace safesail
