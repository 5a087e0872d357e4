// Options of the commands that ask a language model, behind an endpoint or in a file, and the
// client they make.
#pragma once

#include <memory>
#include <string>

#include "cli/session.h"
#include "formats/json.h"
#include "interpret/chat_client.h"
#include "interpret/endpoint.h"
#include "run/atlas_ledger.h"
#include "serve/local_endpoint.h"

namespace safesail {

struct EndpointOptions {
  EndpointSettings settings;
  std::string local, device = "cpu";  ///< a model file that answers in place of an endpoint
  std::string key_variable, key_file, prices;
  Budget::Limits budget;
  double timeout_seconds = 120;
  bool dry_run = false;  ///< say what it would cost, and stop

  bool given() const { return !settings.base_url.empty() || !local.empty(); }
};

void add_endpoint_options(CLI::App& command, EndpointOptions& options);

/// A client with its budget and its ledger in the atlas, all alive as long as this.
class EndpointClient {
 public:
  EndpointClient(const EndpointOptions& options, Atlas& atlas, Session& session);
  ChatClient& client() { return *client_; }
  const EndpointSettings& settings() const { return client_->settings(); }

  /// States what is about to be spent, of a local model memory and time too, and warns where that
  /// is beyond the budget.
  void announce(const CostEstimate& estimate);
  const std::string& currency() const { return budget_.price().currency; }
  /// What was spent, a line a purpose.
  std::string spending() const;
  Json spending_json() const;
  Json json_of(const CostEstimate& estimate) const;

 private:
  Reporter& reporter_;
  std::unique_ptr<LocalEndpoint> local_;  // nullptr: it is elsewhere
  double local_seconds_ = 0;              // that the work will take, as announced
  Budget budget_;
  AtlasLedger ledger_;
  std::unique_ptr<ChatClient> client_;
};

}  // namespace safesail
