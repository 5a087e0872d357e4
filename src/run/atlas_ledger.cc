#include "run/atlas_ledger.h"

namespace safesail {

std::optional<std::string> AtlasLedger::find(const std::string& request_hash) {
  return atlas_.find_answer(request_hash);
}

void AtlasLedger::record(const LedgerEntry& entry, std::optional<std::string_view> answer) {
  Transaction transaction = atlas_.transaction();
  atlas_.add_ledger_line({.purpose = entry.purpose,
                          .endpoint = entry.endpoint,
                          .model = entry.model,
                          .request_hash = entry.request_hash,
                          .prompt_tokens = static_cast<std::int64_t>(entry.usage.prompt),
                          .completion_tokens = static_cast<std::int64_t>(entry.usage.completion),
                          .cached_tokens = static_cast<std::int64_t>(entry.usage.cached),
                          .requests = entry.n_requests,
                          .money = entry.money,
                          .status = entry.status});
  if (answer) atlas_.put_answer(entry.request_hash, *answer);
  transaction.commit();
}

}  // namespace safesail
