#include "run/run_toml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "train/run_settings.h"

namespace safesail {
namespace {

const char* const kLeast =
    "[model]\npath = \"m.gguf\"\n[corpus]\npaths = [\"c.jsonl\"]\n[grid]\nsites = "
    "[\"mlp_out.1\"]\n";

TEST(RunToml, TheExampleSaysTheDefaults) {
  const RunPlan plan = parse_run_toml(example_run_toml(), "example");
  const RunConfig& example = plan.phase1;
  EXPECT_EQ(plan.phase2.pairs, std::vector<std::string>{"data/pairs/en.jsonl"});
  EXPECT_EQ(plan.phase2.collect.corpus.paths, example.corpus.paths);
  EXPECT_EQ(example.sites, "mlp_out.7,mlp_out.15");
  EXPECT_EQ(example.out, "runs/first");
  const RunPlan least_plan = parse_run_toml(kLeast, "least");
  EXPECT_TRUE(least_plan.phase2.pairs.empty());
  RunConfig least = least_plan.phase1;
  least.model = example.model;
  least.sites = example.sites;
  least.corpus.paths = example.corpus.paths;
  EXPECT_EQ(evaluation_settings(example).dump(2), evaluation_settings(least).dump(2));
  EXPECT_EQ(example.grid.overlap, least.grid.overlap);
  EXPECT_EQ(example.grid.keep_checkpoints, least.grid.keep_checkpoints);
}

TEST(RunToml, KeysReachTheirSettings) {
  const RunPlan plan = parse_run_toml(
      std::string("seed = 9\n") + kLeast +
          "architectures = [\"jumprelu\", \"gated\"]\nk = [16]\nexpansions = [4, 8.5]\n"
          "[training]\nlr = 1\ntokens = 5_000\noverlap = false\ndrop_sinks = 10\n"
          "[select]\npairs = [\"p.jsonl\"]\nthreshold = 0.5\n[exemplars]\ncorpus = [\"d.jsonl\"]\n"
          "[score]\nscorers = [\"token\"]\n",
      "t");
  EXPECT_EQ(plan.phase2.pairs, std::vector<std::string>{"p.jsonl"});
  EXPECT_EQ(plan.phase2.select.firing.threshold, 0.5F);
  EXPECT_EQ(plan.phase2.collect.corpus.paths, std::vector<std::string>{"d.jsonl"});
  EXPECT_EQ(plan.phase2.score.scorers, std::vector<Scorer>{Scorer::token});
  EXPECT_EQ(plan.phase2.collect.exemplars.seed, 9u);
  const RunConfig& run = plan.phase1;
  EXPECT_EQ(run.grid.seed, 9u);
  EXPECT_EQ(run.lists.seed, 9u);
  EXPECT_EQ(run.corpus.seed, 9u);
  EXPECT_THAT(run.lists.architectures, testing::ElementsAre("jumprelu", "gated"));
  EXPECT_THAT(run.lists.expansions, testing::ElementsAre(4, 8.5));
  EXPECT_EQ(run.grid.lr, 1);
  EXPECT_EQ(run.grid.n_tokens, 5000u);
  EXPECT_FALSE(run.grid.overlap);
  EXPECT_EQ(run.grid.drop_sinks, 10);
}

TEST(RunToml, BadFilesAreNamedByLine) {
  struct Case {
    std::string text, where, says;
  };
  for (const Case& c : {
           Case{"[training]\nlearning = 1\n", "t:2", "training.lr"},
           Case{"[trainin]\nlr = 1\n", "t:2", "training.lr"},
           Case{"[training.more]\nlr = 1\n", "t:1", "training.more"},
           Case{"seed = -1\n", "t:1", "seed: expected a whole number"},
           Case{"seed = 1.5\n", "t:1", "seed: expected a whole number"},
           Case{"\nseed = \"x\"\n", "t:2", "seed: expected a whole number"},
           Case{"[training]\nlr = nan\n", "t:2", "training.lr: expected a number"},
           Case{"[grid]\nk = 32\n", "t:2", "grid.k: expected a list, each a whole number"},
           Case{"[grid]\nk = [32, \"a\"]\n", "t:2", "grid.k: expected a list"},
           Case{"[corpus]\nmax_sequence = 5000000000\n", "t:2", "expected a whole number"},
           Case{"seed = \n", "t:1", "expected TOML"},
           Case{std::string(kLeast) + "[model]\n", "t:7", "expected TOML"},
           Case{"", "t", "model.path"},
       }) {
    try {
      parse_run_toml(c.text, "t");
      ADD_FAILURE() << "expected an Error for " << c.text;
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::input);
      EXPECT_EQ(error.where(), c.where) << c.text;
      EXPECT_THAT(error.problem(), testing::HasSubstr(c.says)) << c.text;
    }
  }
}

}  // namespace
}  // namespace safesail
