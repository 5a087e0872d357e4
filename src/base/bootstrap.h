// Intervals by resampling documents: tokens of one document go together, so documents, not tokens,
// are what a corpus is a sample of. Percentile bootstrap (Efron and Tibshirani 1993, chapter 13) of
// statistics that are functions of sums, from one row of sums a document.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <unordered_map>
#include <vector>

namespace safesail {

/// A number and its 95 % interval; NaN ends where there were fewer than two documents.
struct Estimate {
  double value = 0;
  double low = std::numeric_limits<double>::quiet_NaN();
  double high = std::numeric_limits<double>::quiet_NaN();

  bool has_interval() const { return low <= high; }
};

/// Linear between order statistics of `sorted`, which has some; share 0 .. 1.
double quantile(const std::vector<double>& sorted, double share);

/// The interval of a statistic from its values on resamples. Those that are not finite count for
/// nothing: a resample may lack what a ratio divides by.
Estimate percentile_interval(double value, std::vector<double> resampled);

/// A row of sums for each document, of `n_columns` quantities.
class DocumentSums {
 public:
  explicit DocumentSums(std::size_t n_columns) : n_columns_(n_columns) {}

  /// The sums of a document, zeros at first. Valid until the next call.
  std::span<double> of(std::uint64_t document);

  std::size_t n_columns() const { return n_columns_; }
  std::size_t n_documents() const { return rows_.size(); }
  /// Rows in the order in which documents came.
  std::span<const double> row(std::size_t i) const {
    return std::span(values_).subspan(i * n_columns_, n_columns_);
  }

 private:
  std::size_t n_columns_;
  std::unordered_map<std::uint64_t, std::size_t> rows_;
  std::vector<double> values_;  // [n_documents, n_columns]
};

/// The column totals of the documents and of resamples of them, drawn once for all statistics:
/// those of several SAEs are compared on the same resamples.
class Bootstrap {
 public:
  Bootstrap(const DocumentSums& sums, std::size_t n_resamples, std::uint64_t seed);

  using Statistic = std::function<double(std::span<const double> totals)>;
  Estimate estimate(const Statistic& statistic) const;

 private:
  std::vector<double> totals_;                  // [n_columns]
  std::vector<std::vector<double>> resampled_;  // [n_resamples][n_columns]
};

}  // namespace safesail
