// Many visitors browse one atlas: each keeps a connection, looks at a page, thinks for a while,
// goes on. How many errors, and how long do they wait? In one process with the server, over
// loopback.
//   bench_serve ATLAS.sqlite [visitors] [seconds]
// ATLAS is one that bench_atlas made; its first features get exemplars, so that their pages are as
// long as real ones. Prints a Markdown table.
#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <fmt/format.h>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "atlas/atlas.h"
#include "base/error.h"
#include "serve/api_server.h"

namespace safesail {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPages = 7, kRead = 200, kExemplars = 60, kTokens = 64;
constexpr double kMeanThought = 1;  // seconds
constexpr std::array<const char*, kPages> kNames = {
    "list, any filter and depth", "search as typed", "counts", "a feature", "features by id",
    "landscape, known already",   "landscape"};
/// Of a hundred looks.
constexpr std::array<double, kPages> kShares = {35, 20, 10, 20, 10, 4, 1};

void give_exemplars(const fs::path& path) {
  Atlas atlas(path, Atlas::Mode::write);
  if (!atlas.record(kRead).exemplars.empty()) return;
  Transaction transaction = atlas.transaction();
  const std::int64_t sae = *atlas.find_sae("model", "mlp_out.0/topk");
  std::vector<std::int64_t> ids;
  for (int i = 0; i < kRead; ++i) {
    FeatureRecord record = atlas.record(i + 1);
    record.histogram.assign(kHistogramBins, 17);
    for (int e = 0; e < kExemplars; ++e) {
      Window window;
      window.document = static_cast<std::uint64_t>(e);
      window.position = i;
      for (int t = 0; t < kTokens; ++t) {
        window.ids.push_back(t);
        window.starts.push_back(static_cast<std::uint32_t>(window.text.size()));
        window.text += fmt::format("w{} ", (t * e + i) % 900);
        window.activation.push_back(t % 7 == 0 ? 0.37F * static_cast<float>(t) : 0);
      }
      window.starts.push_back(static_cast<std::uint32_t>(window.text.size()));
      record.exemplars.push_back(
          {std::move(window), kUses[static_cast<std::size_t>(e % 3)], WindowKind::level, e % 11});
    }
    ids.push_back(atlas.put_feature(sae, record));
  }
  transaction.commit();
}

/// Everywhere at once, as a finished run has it.
void give_coordinates(const fs::path& path) {
  Atlas atlas(path, Atlas::Mode::write);
  if (!atlas.landscape().ids.empty()) return;
  std::mt19937 rng(3);
  std::uniform_real_distribution<float> uniform;
  std::vector<std::int64_t> ids;
  std::vector<float> x, y;
  for (const SaeRow& sae : atlas.saes())
    for (const std::int64_t id : atlas.features_of(*atlas.find_sae(sae.model, sae.name))) {
      ids.push_back(id);
      x.push_back(uniform(rng));
      y.push_back(uniform(rng));
    }
  atlas.put_coordinates(ids, x, y);
}

struct Seen {
  std::array<std::vector<double>, kPages> milliseconds;
  std::vector<std::string> errors;
};

class Visitor {
 public:
  Visitor(int port, unsigned seed, std::string landscape_tag)
      : client_("127.0.0.1", port), rng_(seed), tag_(std::move(landscape_tag)) {
    client_.set_keep_alive(true);
    client_.set_tcp_nodelay(true);
    client_.set_decompress(false);
  }

  void browse(Clock::time_point until, Seen& seen) {
    for (;;) {
      const auto thought = std::chrono::duration<double>(
          std::uniform_real_distribution<>(0, 2 * kMeanThought)(rng_));
      std::this_thread::sleep_for(thought);
      if (Clock::now() >= until) return;
      const int page = std::discrete_distribution<int>(kShares.begin(), kShares.end())(rng_);
      httplib::Headers headers;
      if (page >= 5) headers.emplace("Accept-Encoding", "gzip");
      if (page == 5) headers.emplace("If-None-Match", tag_);
      const std::string path = "/api/v1" + path_of(page);
      const Clock::time_point begin = Clock::now();
      const auto answer = client_.Get(path, headers);
      const double took = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
      seen.milliseconds[static_cast<std::size_t>(page)].push_back(took);
      if (!answer || answer->status != (page == 5 ? 304 : 200))
        seen.errors.push_back(
            path + ": " + (answer ? std::to_string(answer->status) : to_string(answer.error())));
    }
  }

 private:
  int below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(rng_); }

  std::string path_of(int page) {
    static constexpr std::array kFilters = {"", "&domains=terror", "&layer=3", "&min_score=0.3",
                                            "&explained=true&domains=politics"};
    switch (page) {
      case 0:
        return fmt::format("/features?limit=50&offset={}{}", 50 * below(100),
                           kFilters[static_cast<std::size_t>(below(5))]);
      case 1:
        return fmt::format("/features?limit=50&order=relevance&text=w{}*", 100 + below(900));
      case 2:
        return fmt::format("/stats?layer={}", below(10));
      case 3:
        return fmt::format("/features/{}", 1 + below(kRead));
      case 4:
        return fmt::format("/features?ids={},{},{}", 1 + below(9000), 1 + below(9000),
                           1 + below(9000));
      default:
        return "/landscape";
    }
  }

  httplib::Client client_;
  std::mt19937 rng_;
  const std::string tag_;
};

double quantile(std::vector<double>& values, double share) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<std::size_t>(at)];
}

void print_row(std::string_view name, std::vector<double>& values) {
  fmt::print("| {} | {} | {:.1f} | {:.1f} | {:.1f} |\n", name, values.size(), quantile(values, 0.5),
             quantile(values, 0.99), quantile(values, 1));
}

int run(const fs::path& path, int n_visitors, int n_seconds) {
  give_exemplars(path);
  give_coordinates(path);
  SilentReporter silent;
  ApiServerOptions options;
  options.atlas = path;
  ApiServer server(options, nullptr, silent);
  std::stop_source stop;
  std::thread serving([&] { server.run(stop.get_token()); });
  const int port = server.http().port();

  // What a server does once, before the first visitor is timed.
  std::string tag;
  {
    httplib::Client first("127.0.0.1", port);
    first.set_read_timeout(60);
    for (const char* page : {"/api/v1/stats", "/api/v1/features", "/api/v1/landscape"})
      if (const auto answer = first.Get(page)) tag = answer->get_header_value("ETag");
  }

  std::vector<Seen> seen(static_cast<std::size_t>(n_visitors));
  const Clock::time_point begin = Clock::now();
  std::vector<std::thread> visitors;
  for (int v = 0; v < n_visitors; ++v)
    visitors.emplace_back([&, v] {
      Visitor(port, static_cast<unsigned>(v), tag)
          .browse(begin + std::chrono::seconds(n_seconds), seen[static_cast<std::size_t>(v)]);
    });
  for (std::thread& visitor : visitors) visitor.join();
  const double took = std::chrono::duration<double>(Clock::now() - begin).count();
  stop.request_stop();
  serving.join();

  Seen all;
  std::vector<double> every;
  for (Seen& one : seen) {
    for (std::size_t page = 0; page < kPages; ++page)
      for (const double value : one.milliseconds[page]) {
        all.milliseconds[page].push_back(value);
        every.push_back(value);
      }
    all.errors.insert(all.errors.end(), one.errors.begin(), one.errors.end());
  }
  fmt::print(
      "| {} visitors for {} s: {:.0f} requests/s, {} errors | requests | median ms | 99 % | "
      "worst |\n| --- | --: | --: | --: | --: |\n",
      n_visitors, n_seconds, static_cast<double>(every.size()) / took, all.errors.size());
  for (std::size_t page = 0; page < kPages; ++page) print_row(kNames[page], all.milliseconds[page]);
  print_row("all", every);
  for (std::size_t i = 0; i < std::min<std::size_t>(5, all.errors.size()); ++i)
    fmt::print(stderr, "error: {}\n", all.errors[i]);
  return all.errors.empty() ? 0 : 1;
}

int number(const char* text) {
  int value = 0;
  const std::string_view whole = text;
  const auto [end, error] = std::from_chars(whole.data(), whole.data() + whole.size(), value);
  if (error != std::errc() || value < 1)
    bad_input(whole, "expected a number of at least 1", "see the head of bench/serve.cc");
  return value;
}

}  // namespace
}  // namespace safesail

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: bench_serve ATLAS.sqlite [visitors] [seconds]\n");
    return 2;
  }
  try {
    return safesail::run(argv[1], argc > 2 ? safesail::number(argv[2]) : 200,
                         argc > 3 ? safesail::number(argv[3]) : 60);
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}
