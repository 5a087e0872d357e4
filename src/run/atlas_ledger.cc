#include "run/atlas_ledger.h"

namespace safesail {

std::optional<std::string> AtlasLedger::find(const std::string& request_hash) {
  return atlas_.find_answer(request_hash);
}

std::optional<std::int64_t> AtlasLedger::feature_of(const std::string& name) {
  const std::vector<NamedFeature> found = atlas_.features_named(name);
  return found.size() == 1 ? std::optional(found.front().id) : std::nullopt;
}

void AtlasLedger::record(const LedgerEntry& entry, std::optional<std::string_view> answer) {
  Transaction transaction = atlas_.transaction();
  atlas_.add_ledger_line({.purpose = entry.purpose,
                          .feature = feature_of(entry.feature),
                          .endpoint = entry.endpoint,
                          .model = entry.model,
                          .request_hash = entry.request_hash,
                          .prompt_tokens = static_cast<std::int64_t>(entry.usage.prompt),
                          .completion_tokens = static_cast<std::int64_t>(entry.usage.completion),
                          .cached_tokens = static_cast<std::int64_t>(entry.usage.cached),
                          .reasoning_tokens = static_cast<std::int64_t>(entry.usage.reasoning),
                          .requests = entry.n_requests,
                          .money = entry.money,
                          .currency = entry.currency,
                          .status = entry.status,
                          .reason = entry.reason});
  if (answer) atlas_.put_answer(entry.request_hash, *answer);
  transaction.commit();
}

}  // namespace safesail
