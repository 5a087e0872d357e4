// The client's ledger, kept in the atlas: what was asked, what it cost, and the answers, so that a
// killed run pays for nothing twice.
#pragma once

#include "atlas/atlas.h"
#include "interpret/ledger.h"

namespace safesail {

/// `atlas` outlives it and is used by the same thread.
class AtlasLedger final : public Ledger {
 public:
  explicit AtlasLedger(Atlas& atlas) : atlas_(atlas) {}
  std::optional<std::string> find(const std::string& request_hash) override;
  void record(const LedgerEntry& entry, std::optional<std::string_view> answer) override;

 private:
  /// Of a name that means one feature; nothing for others.
  std::optional<std::int64_t> feature_of(const std::string& name);

  Atlas& atlas_;
};

}  // namespace safesail
