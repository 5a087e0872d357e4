// A few connections to one atlas, lent to threads that answer requests.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "atlas/atlas.h"

namespace safesail {

/// Any number of threads.
class AtlasPool {
 public:
  /// Opens them all, to read: an input error when there is no atlas at `path`.
  AtlasPool(const fs::path& path, std::size_t n_connections);

  /// A connection of the caller's own until this ends.
  class Loan {
   public:
    Loan(AtlasPool& pool, std::unique_ptr<Atlas> atlas) : pool_(pool), atlas_(std::move(atlas)) {}
    ~Loan();
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    Atlas* operator->() const { return atlas_.get(); }
    Atlas& operator*() const { return *atlas_; }

   private:
    AtlasPool& pool_;
    std::unique_ptr<Atlas> atlas_;
  };
  /// Waits for one that is free.
  Loan lend();

  /// Another text after every commit to the atlas by anyone, and in every process.
  std::string version();

 private:
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Atlas>> free_;
  std::mutex version_mutex_;
  Atlas watched_;  ///< whose version stands for that of the file
  const std::uint64_t opened_;
};

}  // namespace safesail
