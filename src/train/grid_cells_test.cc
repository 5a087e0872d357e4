#include "train/grid_cells.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace safesail {
namespace {

constexpr std::uint64_t kTokens = 5000;

std::vector<std::string> folders(const std::vector<GridCell>& cells) {
  std::vector<std::string> names;
  for (const GridCell& cell : cells) names.push_back(cell.folder);
  return names;
}

TEST(GridCells, NamesSayOnlyWhatDiffers) {
  EXPECT_THAT(folders(make_cells({.sites = {"mlp_out.5"}}, {{"mlp_out.5", 16}}, kTokens)),
              testing::ElementsAre("mlp_out.5/topk-k32"));
  EXPECT_THAT(
      folders(make_cells(
          {.sites = {"mlp_out.5"}, .ks = {4}, .expansions = {2, 8.5}, .n_seeds = 2, .seed = 7},
          {{"mlp_out.5", 16}}, kTokens)),
      testing::ElementsAre("mlp_out.5/topk-k4-x2-s7", "mlp_out.5/topk-k4-x2-s8",
                           "mlp_out.5/topk-k4-x8.5-s7", "mlp_out.5/topk-k4-x8.5-s8"));
}

TEST(GridCells, AreEveryCombination) {
  const auto cells = make_cells({.sites = {"a", "b"},
                                 .architectures = {"topk", "batchtopk", "jumprelu"},
                                 .ks = {2, 4},
                                 .expansions = {2}},
                                {{"a", 16}, {"b", 32}}, kTokens);
  ASSERT_EQ(cells.size(), 12u);
  EXPECT_EQ(cells[0].spec.n_features, 32);
  EXPECT_EQ(cells[11].folder, "b/jumprelu-k4");
  EXPECT_EQ(cells[11].spec.n_features, 64);
  EXPECT_EQ(cells[11].spec.rule, Rule::threshold);
}

TEST(GridCells, ATranscoderReadsOneSiteAndReconstructsAnother) {
  const GridLists lists{
      .sites = {"mlp_out.5"}, .transcoders = {"mlp_in.5:mlp_out.5"}, .ks = {4}, .skip = true};
  EXPECT_THAT(sites_of(lists), testing::ElementsAre("mlp_out.5", "mlp_in.5"));
  const auto cells = make_cells(lists, {{"mlp_in.5", 16}, {"mlp_out.5", 24}}, kTokens);
  ASSERT_EQ(cells.size(), 2u);
  EXPECT_FALSE(cells[0].spec.transcoder);
  EXPECT_EQ(cells[1].folder, "mlp_in.5__mlp_out.5/topk-k4");
  EXPECT_EQ(cells[1].spec.d_in, 16);
  EXPECT_EQ(cells[1].spec.d_out, 24);
  EXPECT_TRUE(cells[1].spec.transcoder && cells[1].spec.skip);
  EXPECT_FALSE(cells[1].spec.apply_b_dec_to_input);
}

TEST(GridCells, AreDeadAfterATenthOfTheBudgetUnlessToldOtherwise) {
  GridLists lists{.sites = {"a"}, .ks = {4}};
  const auto bound = [&](std::uint64_t n_tokens) {
    return make_cells(lists, {{"a", 16}}, n_tokens).front().trainer.dead_after_tokens;
  };
  EXPECT_EQ(bound(1'000'000), 100'000);
  EXPECT_EQ(bound(5), 1);
  EXPECT_EQ(bound(1'000'000'000), 10'000'000);
  lists.trainer.dead_after_tokens = 700;
  EXPECT_EQ(bound(1'000'000), 700);
  EXPECT_EQ(bound(100), 700) << "said is said: nothing dies";
}

TEST(GridCells, RefuseWhatMakesNoSense) {
  const std::map<std::string, std::int64_t> widths = {{"a", 16}};
  for (const GridLists& lists :
       {GridLists{}, GridLists{.sites = {"a"}, .ks = {}}, GridLists{.sites = {"a"}, .ks = {1000}},
        GridLists{.sites = {"a"}, .ks = {4, 4}}, GridLists{.sites = {"a"}, .ks = {4}, .skip = true},
        GridLists{.sites = {"a"}, .architectures = {"top"}, .ks = {4}},
        GridLists{.transcoders = {"a"}, .ks = {4}}, GridLists{.sites = {"a"}, .ks = {0}}})
    EXPECT_THROW(make_cells(lists, widths, kTokens), Error);
}

}  // namespace
}  // namespace safesail
