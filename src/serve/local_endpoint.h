// A model file in place of an endpoint: the engine served to this very process, on a port of this
// machine that is open to it alone (a key that nobody else knows). What it answers is kept under
// the hash of the model's files, so that another start finds it.
//
// It serves in a thread of its own from construction to destruction. One thread calls it.
#pragma once

#include <memory>

#include "base/file.h"
#include "base/report.h"
#include "interpret/endpoint.h"
#include "interpret/price.h"
#include "model/language_model.h"

namespace safesail {

class LocalEndpoint {
 public:
  /// Loads the model; `concurrency` answers are made at once. An input error where it has no chat
  /// template, and those of load_text_model().
  LocalEndpoint(const fs::path& model, const LoadOptions& options, int concurrency,
                Reporter& reporter);
  ~LocalEndpoint();
  LocalEndpoint(const LocalEndpoint&) = delete;
  LocalEndpoint& operator=(const LocalEndpoint&) = delete;

  /// `settings` with what this endpoint is, how it is reached, and patience: what is asked of one's
  /// own machine takes as long as it takes.
  EndpointSettings settings(EndpointSettings settings) const;
  const ApiKey& key() const;

  /// States the memory that the work will take and, from a few passes that it measures, how long.
  /// Seconds; an environment error where memory is too little.
  double state(const CostEstimate& estimate, Reporter& reporter) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace safesail
