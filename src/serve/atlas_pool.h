// A few connections to one atlas, lent to threads that answer requests.
//
// Where another file takes the atlas's place, as when a run makes it anew, the connections follow
// it.
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

  /// A connection and the file that it was opened on.
  struct Connection {
    std::unique_ptr<Atlas> atlas;
    std::string file;
  };

  /// A connection of the caller's own until this ends.
  class Loan {
   public:
    Loan(AtlasPool& pool, Connection lent) : pool_(pool), lent_(std::move(lent)) {}
    ~Loan();
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    Atlas* operator->() const { return lent_.atlas.get(); }
    Atlas& operator*() const { return *lent_.atlas; }

   private:
    AtlasPool& pool_;
    Connection lent_;
  };
  /// Waits for one that is free.
  Loan lend();

  /// Another text after every commit to the atlas by anyone, and in every process.
  std::string version();

 private:
  Connection open() const;
  /// Opens it anew where another file is in the atlas's place.
  void follow(Connection& connection) const;

  const fs::path path_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<Connection> free_;
  std::mutex version_mutex_;
  Connection watched_;  ///< whose version stands for that of the file
  const std::uint64_t opened_;
};

}  // namespace safesail
