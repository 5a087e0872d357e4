#include "atlas/database.h"

#include <fmt/format.h>
#include <limits>
#include <sqlite3.h>
#include <utility>

#include "base/error.h"

namespace safesail {
namespace {

constexpr int kBusyMilliseconds = 60'000;

/// SQLite reads a null pointer as NULL, but an empty view may hold one.
const char* pointer_of(std::string_view text) {
  return text.data() == nullptr ? "" : text.data();
}

}  // namespace

Query::Query(Database& database, sqlite3_stmt* statement, std::vector<sqlite3_stmt*>* home)
    : database_(&database), statement_(statement), home_(home) {}

Query::Query(Query&& other) noexcept
    : database_(other.database_),
      statement_(std::exchange(other.statement_, nullptr)),
      home_(other.home_),
      n_bound_(other.n_bound_) {}

Query::~Query() {
  if (statement_ == nullptr) return;
  if (home_ == nullptr) {
    sqlite3_finalize(statement_);
    return;
  }
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  home_->push_back(statement_);
}

bool Query::next() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) database_->fail(code);
  return false;
}

bool Query::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}
std::int64_t Query::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}
double Query::real(int column) const {
  return is_null(column) ? std::numeric_limits<double>::quiet_NaN()
                         : sqlite3_column_double(statement_, column);
}
std::string_view Query::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}
std::span<const std::byte> Query::blob(int column) const {
  const auto* bytes = static_cast<const std::byte*>(sqlite3_column_blob(statement_, column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}
std::optional<std::string> Query::optional_text(int column) const {
  if (is_null(column)) return std::nullopt;
  return std::string(text(column));
}
std::optional<double> Query::optional_real(int column) const {
  if (is_null(column)) return std::nullopt;
  return real(column);
}

void Query::bind(std::nullptr_t) {
  if (const int code = sqlite3_bind_null(statement_, ++n_bound_)) database_->fail(code);
}
void Query::bind(std::int64_t value) {
  if (const int code = sqlite3_bind_int64(statement_, ++n_bound_, value)) database_->fail(code);
}
void Query::bind(double value) {
  if (const int code = sqlite3_bind_double(statement_, ++n_bound_, value)) database_->fail(code);
}
void Query::bind(std::string_view value) {
  const int code = sqlite3_bind_text64(statement_, ++n_bound_, pointer_of(value), value.size(),
                                       SQLITE_TRANSIENT, SQLITE_UTF8);
  if (code != SQLITE_OK) database_->fail(code);
}
void Query::bind(std::span<const std::byte> value) {
  const void* bytes = value.empty() ? static_cast<const void*>("") : value.data();
  const int code =
      sqlite3_bind_blob64(statement_, ++n_bound_, bytes, value.size(), SQLITE_TRANSIENT);
  if (code != SQLITE_OK) database_->fail(code);
}

Transaction::Transaction(Database& database) : database_(&database) {
  SAFESAIL_CHECK(database.n_snapshots_ == 0);
  if (database.depth_ == 0) {
    // A writer from the start: upgrading a reader could fail half-way with "busy".
    database.run("BEGIN IMMEDIATE");
    database.rolled_back_ = false;
  }
  ++database.depth_;
}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)) {}

void Transaction::commit() {
  SAFESAIL_CHECK(database_ != nullptr);
  if (database_->rolled_back_)
    failed(database_->path_.string(), "a part of the change failed, so all of it is undone",
           "look at the error before this one");
  if (database_->depth_ == 1) database_->run("COMMIT");
  --database_->depth_;
  database_ = nullptr;
}

Transaction::~Transaction() {
  if (database_ == nullptr) return;
  database_->rolled_back_ = true;
  ++database_->n_rollbacks_;
  // SQLite may have rolled back by itself (disk full): then there is nothing to undo.
  if (--database_->depth_ == 0 && sqlite3_get_autocommit(database_->handle_) == 0)
    sqlite3_exec(database_->handle_, "ROLLBACK", nullptr, nullptr, nullptr);
}

Snapshot::Snapshot(Database& database) : database_(database) {
  if (database.n_snapshots_ == 0 && database.depth_ == 0) database.run("BEGIN");
  ++database.n_snapshots_;
}

Snapshot::~Snapshot() {
  if (--database_.n_snapshots_ == 0 && database_.depth_ == 0)
    sqlite3_exec(database_.handle_, "COMMIT", nullptr, nullptr, nullptr);
}

Database::Database(const fs::path& path, Mode mode) : path_(path), mode_(mode) {
  if (mode != Mode::create && !fs::exists(path))
    bad_input(path.string(), "there is no such database",
              "check the path, or make one: `safesail exemplars` for a run, `safesail atlas "
              "import` for a release");
  if (mode == Mode::create && path.has_parent_path()) {
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    if (error)
      failed(path.parent_path().string(), "cannot make the folder: " + error.message(),
             "choose a folder that you may write to");
  }
  const int flags = mode == Mode::read    ? SQLITE_OPEN_READONLY
                    : mode == Mode::write ? SQLITE_OPEN_READWRITE
                                          : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  const int code =
      sqlite3_open_v2(path.c_str(), &handle_, flags | SQLITE_OPEN_NOMUTEX, /*vfs=*/nullptr);
  try {
    if (code != SQLITE_OK) fail(code);
    sqlite3_extended_result_codes(handle_, 1);
    sqlite3_busy_timeout(handle_, kBusyMilliseconds);
    execute("PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF");
  } catch (...) {
    sqlite3_close(handle_);
    throw;
  }
}

Database::~Database() {
  for (const auto& [sql, statements] : idle_)
    for (sqlite3_stmt* statement : statements) sqlite3_finalize(statement);
  sqlite3_close_v2(handle_);
}

void Database::execute(const std::string& sql) {
  if (const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr)) fail(code);
}

Query Database::prepare(std::string_view sql, bool keep) {
  std::vector<sqlite3_stmt*>* home = nullptr;
  if (keep) {
    auto found = idle_.find(sql);
    if (found == idle_.end()) found = idle_.try_emplace(std::string(sql)).first;
    home = &found->second;
    if (!home->empty()) {
      sqlite3_stmt* statement = home->back();
      home->pop_back();
      return Query(*this, statement, home);
    }
  }
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                         keep ? SQLITE_PREPARE_PERSISTENT : 0, &statement, /*tail=*/nullptr);
  if (code != SQLITE_OK) fail(code);
  return Query(*this, statement, home);
}

std::int64_t Database::last_id() const {
  return sqlite3_last_insert_rowid(handle_);
}

std::uint64_t Database::version() {
  // data_version tells of the others' commits, total_changes of our own rows, but of none undone.
  return static_cast<std::uint64_t>(*find_integer("PRAGMA data_version")) * 0x9E3779B97F4A7C15u +
         n_rollbacks_ * 0xD1B54A32D192ED03u +
         static_cast<std::uint64_t>(sqlite3_total_changes64(handle_));
}

void Database::fail(int code) const {
  const std::string message = handle_ == nullptr ? "no memory" : sqlite3_errmsg(handle_);
  const std::string where = path_.string();
  switch (code & 0xFF) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      bad_input(where, fmt::format("expected a database of Safesail, got: {}", message),
                "give the path of an atlas.sqlite, or import again into a new file");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      failed(where, "another program has been writing to it for a minute",
             "wait until it is done, or stop it");
    case SQLITE_FULL:
      failed(where, "the disk is full", "free some space; what was committed is kept");
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      failed(where, fmt::format("cannot open or write it: {}", message),
             "check the path and who may write there");
    case SQLITE_IOERR:
      failed(where, fmt::format("the disk failed: {}", message), "check the disk");
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
      failed(where, fmt::format("too large: {}", message), "import less at a time");
    default:
      // What is left is a constraint or a wrong statement: our own bug, or a hand-made file.
      bad_input(where, fmt::format("the database refuses: {}", message),
                "if nobody changed the file by hand, please report this");
  }
}

}  // namespace safesail
