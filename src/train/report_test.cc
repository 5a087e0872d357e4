#include "train/report.h"

#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

#include "train/report_html.h"
#include "train/report_svg.h"

namespace safesail {
namespace {

int count(const std::string& text, const std::string& part) {
  int n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

CellResult cell(const std::string& site, std::int64_t k, double fvu) {
  CellResult result;
  result.id = {site, site, "topk", k, 64, 0, "a.safetensors"};
  result.n_tokens = 100;
  result.fvu = {fvu, fvu - 0.01, fvu + 0.01};
  result.l0.value = double(k);
  result.density.assign(kDensityBins, 1);
  result.loss.n_tokens = 90;
  result.loss.by_position = {{.first = 0, .last = 0, .n_tokens = 50, .delta = 0.1, .kl = 0.2}};
  return result;
}

TEST(Report, TextFromFilesNeverBecomesMarkup) {
  const std::string hostile = "<script>alert('x')</script>\" onload=\"y";
  CellResult result = cell(hostile, 4, 0.5);
  result.id.architecture = hostile;
  Report report{.title = hostile, .facts = {{hostile, hostile}}, .cells = {result}, .training = {}};
  report.training.push_back({result.id, {{.tokens = 1, .fvu = 1}, {.tokens = 2, .fvu = 0.5}}});
  const std::string page = to_html(report);
  EXPECT_EQ(count(page, "<script"), 0);
  EXPECT_EQ(count(page, "\" onload"), 0);
  EXPECT_GT(count(page, "&lt;script&gt;"), 5);
}

TEST(Report, StandsAlone) {
  const Report report{
      .title = "r", .facts = {}, .cells = {cell("mlp_out.1", 4, 0.5)}, .training = {}};
  const std::string page = to_html(report);
  for (const char* fetched : {"http", "src=", "href=", "url(", "@import"})
    EXPECT_EQ(count(page, fetched), 0) << fetched;
}

TEST(Report, HoldsEverySiteAndSae) {
  const std::string page = to_html({.title = "r",
                                    .facts = {},
                                    .cells = {cell("mlp_out.1", 4, 0.51234),
                                              cell("mlp_out.1", 8, 0.4), cell("mlp_out.2", 4, 0.6)},
                                    .training = {}});
  EXPECT_EQ(count(page, "<h2>mlp_out.1</h2>"), 1);
  EXPECT_EQ(count(page, "<h2>mlp_out.2</h2>"), 1);
  EXPECT_EQ(count(page, "<td>mlp_out.1 topk k8 64</td>"), 2) << "in both tables";
  EXPECT_EQ(count(page, "0.5123 [0.5023, 0.5223]"), 2) << "in the table and at its point";
}

TEST(Report, CurvesAreReadAndStrangeLinesPassedOver) {
  const fs::path path =
      fs::temp_directory_path() / ("safesail_curves_" + std::to_string(::getpid()) + ".jsonl");
  std::ofstream file(path);
  file << "not json\n[1]\n{\"tokens\":1}\n";
  for (int i = 0; i < 1000; ++i)
    for (const int k : {8, 16})
      file << "{\"tokens\":" << i << ",\"site\":\"mlp_out.1\",\"k\":" << k
           << ",\"fvu\":0.5,\"l0\":\"x\"}\n";
  file.close();
  const std::vector<TrainingCurve> curves = read_training_curves(path);
  fs::remove(path);
  ASSERT_EQ(curves.size(), 2u);
  EXPECT_EQ(curves[1].id.k, 16);
  EXPECT_LE(curves[0].points.size(), 301u);
  EXPECT_EQ(curves[0].points.front().tokens, 0);
  EXPECT_EQ(curves[0].points.back().tokens, 999);
  EXPECT_TRUE(std::isnan(curves[0].points[0].l0));
  EXPECT_TRUE(read_training_curves(path).empty()) << "no file, no curves";
}

TEST(Plot, LeavesOutWhatItsAxisCannotShow) {
  const svg::Plot plot{.title = "p",
                       .x = {.title = "x", .log = true},
                       .y = {.title = "y"},
                       .series = {{.name = "s",
                                   .points = {{.x = 10, .y = 1},
                                              {.x = 0, .y = 1},
                                              {.x = 100, .y = svg::kNone},
                                              {.x = 1000, .y = 2}}}}};
  const std::string text = svg::draw(plot);
  EXPECT_EQ(count(text, "<circle"), 2);
  EXPECT_EQ(count(text, "nan"), 0);
  EXPECT_EQ(count(text, "inf"), 0);
  EXPECT_EQ(count(text, ">100</text>"), 1);
}

TEST(Plot, NothingToShowIsStillAPlot) {
  const std::string text = svg::draw(svg::Plot{.title = "empty", .x = {}, .y = {}, .series = {}});
  EXPECT_EQ(count(text, "nan"), 0);
  EXPECT_EQ(count(text, "</svg>"), 1);
}

}  // namespace
}  // namespace safesail
