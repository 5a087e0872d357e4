// SQLite behind a few lines: a connection, a statement, a transaction.
//
// One thread a connection; several connections, also of several processes, may use one file (WAL:
// readers never wait for the writer, writers wait for each other up to a minute). Every fault is an
// Error with the path of the file in it.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/file.h"

struct sqlite3;
struct sqlite3_stmt;

namespace safesail {

class Database;

/// A statement that runs. Lent by the connection, which it must not outlive; given back by the
/// destructor. Bound values are copied; NaN is bound as NULL.
class Query {
 public:
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  Query(Query&& other) noexcept;
  ~Query();

  /// Steps to the next row; false at the end.
  bool next();

  bool is_null(int column) const;
  std::int64_t integer(int column) const;  ///< 0 for NULL
  double real(int column) const;           ///< NaN for NULL
  /// Until next() or the destructor; empty for NULL.
  std::string_view text(int column) const;
  std::span<const std::byte> blob(int column) const;
  std::optional<std::string> optional_text(int column) const;
  std::optional<double> optional_real(int column) const;

  void bind(std::nullptr_t);
  void bind(std::int64_t value);
  void bind(double value);
  void bind(std::string_view value);
  void bind(std::span<const std::byte> value);
  template <std::integral T>
  void bind(T value) {
    bind(static_cast<std::int64_t>(value));
  }
  void bind(float value) { bind(static_cast<double>(value)); }
  void bind(const std::string& value) { bind(std::string_view(value)); }
  void bind(const char* value) { bind(std::string_view(value)); }
  template <class T>
  void bind(const std::optional<T>& value) {
    value ? bind(*value) : bind(nullptr);
  }

 private:
  friend class Database;
  Query(Database& database, sqlite3_stmt* statement, std::vector<sqlite3_stmt*>* home);

  Database* database_;
  sqlite3_stmt* statement_;
  std::vector<sqlite3_stmt*>* home_;  ///< in the connection, which keeps it; nullptr: nobody does
  int n_bound_ = 0;
};

/// All or nothing: without commit() the destructor undoes everything since the constructor. May be
/// nested; the outermost one decides.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(Transaction&& other) noexcept;
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database* database_;
};

/// While it lives, every query sees the file as it was at the first of them. May be nested, also in
/// a Transaction; no Transaction may begin in it.
class Snapshot {
 public:
  explicit Snapshot(Database& database);
  ~Snapshot();
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

 private:
  Database& database_;
};

class Database {
 public:
  enum class Mode {
    read,   ///< must exist, nothing is written
    write,  ///< must exist
    create  ///< made when it does not exist
  };
  Database(const fs::path& path, Mode mode);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  const fs::path& path() const { return path_; }
  bool read_only() const { return mode_ == Mode::read; }

  /// Statements without values, separated by semicolons.
  void execute(const std::string& sql);

  /// A statement with its `?` bound in order, before its first row. It is kept prepared under its
  /// text, so that is one of few.
  template <class... Values>
  Query query(std::string_view sql, const Values&... values) {
    Query query = prepare(sql, /*keep=*/true);
    (query.bind(values), ...);
    return query;
  }
  /// The same for a text made at run time.
  template <class... Values>
  Query query_once(std::string_view sql, const Values&... values) {
    Query query = prepare(sql, /*keep=*/false);
    (query.bind(values), ...);
    return query;
  }
  /// query() run to its end.
  template <class... Values>
  void run(std::string_view sql, const Values&... values) {
    Query running = query(sql, values...);
    while (running.next()) {
    }
  }
  /// The first column of the first row; nothing when there is no row.
  template <class... Values>
  std::optional<std::int64_t> find_integer(std::string_view sql, const Values&... values) {
    Query running = query(sql, values...);
    if (!running.next()) return std::nullopt;
    return running.integer(0);
  }

  std::int64_t last_id() const;
  /// Changes with every commit to the file, by whomever, and with every change or undoing of our
  /// own.
  std::uint64_t version();

 private:
  friend class Query;
  friend class Transaction;
  friend class Snapshot;
  Query prepare(std::string_view sql, bool keep);
  [[noreturn]] void fail(int code) const;

  fs::path path_;
  Mode mode_;
  sqlite3* handle_ = nullptr;
  int depth_ = 0;  ///< of transactions
  int n_snapshots_ = 0;
  std::uint64_t n_rollbacks_ = 0;
  bool rolled_back_ = false;  ///< by an inner one: the outer ones must not commit
  /// Prepared and not in use, by their text.
  std::map<std::string, std::vector<sqlite3_stmt*>, std::less<>> idle_;
};

}  // namespace safesail
