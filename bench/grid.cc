// A grid of nine SAEs from one pass of the model, as JSON lines: model and SAEs in turns, then at
// the same time; or one of the two.
//
//   bench_grid MODEL CORPUS [TOKENS [turns | overlap]]
//
// TopK at mlp_out of three layers, with k 16, 32, 64 and eight features a dimension. `model_tokens`
// are the content tokens that came out of the model: those of the budget once, however many SAEs
// there are. Seconds of model and SAEs are their own clocks; at the same time they share the cores,
// so that the sum that wall time must stay below is that of the run in turns.
#include "train/grid.h"

#include <ATen/ATen.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <unistd.h>

#include "harvest/harvester.h"
#include "model/text_model.h"

namespace {

using namespace safesail;

class Counting final : public BlockSource {
 public:
  explicit Counting(BlockSource& source) : source_(source) {}
  std::optional<ActivationBlock> next() override {
    std::optional<ActivationBlock> block = source_.next();
    if (block) n_rows += block->n_rows();
    return block;
  }
  void skip(std::uint64_t n_blocks) override { source_.skip(n_blocks); }

  std::uint64_t n_rows = 0;

 private:
  BlockSource& source_;
};

GridConfig grid_of(const std::vector<Site>& sites, std::int64_t d, std::uint64_t tokens) {
  GridConfig config{.n_tokens = tokens, .checkpoint_minutes = 1e9};
  std::map<std::string, std::int64_t> widths;
  for (const Site& site : sites) widths[config.sites.emplace_back(to_string(site))] = d;
  config.block_rows = 8192;
  config.shuffle_buffer = 3 * config.block_rows;
  config.cells = make_cells({.sites = config.sites, .ks = {16, 32, 64}}, widths, config.n_tokens);
  return config;
}

void bench(const TextModel& text_model, const std::string& corpus, std::uint64_t tokens,
           bool overlap) {
  const auto& [tokenizer, model] = text_model;
  std::vector<Site> sites;
  for (const int part : {1, 2, 3})
    sites.push_back({SiteKind::mlp_out, static_cast<int>(model.spec().n_layers) * part / 4});
  GridConfig config = grid_of(sites, model.spec().d_model, tokens);
  config.overlap = overlap;
  Harvester harvester(
      model, BatchStream(Corpus({.paths = {corpus}}, &tokenizer), tokenizer, {}, Split::all, 0),
      {.sites = sites, .block_rows = config.block_rows, .max_rows = tokens});
  Counting counting(harvester);
  const fs::path run =
      fs::temp_directory_path() / ("safesail_bench_grid." + std::to_string(::getpid()));
  SilentReporter silent;
  const auto start = std::chrono::steady_clock::now();
  const GridResult result =
      train_grid(counting, config, SiteProvenance(sites.size()), run, "bench",
                 [&](std::int32_t id) { return tokenizer.token(id); }, silent, {});
  const double wall =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  fs::remove_all(run);
  std::printf(
      "{\"case\": \"grid, %s\", \"saes\": %zu, \"budget\": %llu, \"model_tokens\": %llu, "
      "\"model_seconds\": %.2f, \"sae_seconds\": %.2f, \"wall_seconds\": %.2f}\n",
      overlap ? "at the same time" : "in turns", config.cells.size(),
      static_cast<unsigned long long>(tokens), static_cast<unsigned long long>(counting.n_rows),
      result.source_seconds, result.sae_seconds, wall);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: bench_grid MODEL CORPUS [TOKENS [turns | overlap]]\n");
    return 2;
  }
  SilentReporter silent;
  const TextModel text_model = load_text_model(argv[1], {ComputeType::bf16, "cpu"}, silent);
  const auto tokens = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 60'000ULL;
  const std::string_view only = argc > 4 ? argv[4] : "";
  if (only != "overlap") bench(text_model, argv[2], tokens, false);
  if (only != "turns") bench(text_model, argv[2], tokens, true);
}
