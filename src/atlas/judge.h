// One set of readers for importing and for validating: an importer stops at the first fault, a
// validator wants them all. Readers wrap what belongs together in check(); what it throws is passed
// on, or kept.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace safesail {

struct Violation {
  std::string where;  ///< "en_db.json:12: 35_10067"
  std::string problem;
  std::string remedy;
};

class Judge {
 public:
  /// Faults go into `kept`, which must outlive the judge; null: they are thrown.
  explicit Judge(std::vector<Violation>* kept = nullptr) : kept_(kept) {}

  /// Runs `body`; false when it threw an Error that was kept.
  template <class Body>
  bool check(const Body& body) {
    try {
      body();
      return true;
    } catch (const Error& error) {
      if (kept_ == nullptr || error.fault() != Fault::input) throw;
      kept_->push_back({error.where(), error.problem(), error.remedy()});
      return false;
    }
  }

  /// The rest of a long file adds nothing that people would read.
  bool has_enough() const { return kept_ != nullptr && kept_->size() >= kMaxViolations; }

  static constexpr std::size_t kMaxViolations = 1000;

 private:
  std::vector<Violation>* kept_;
};

}  // namespace safesail
