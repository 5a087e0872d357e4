// The whole server on a small atlas and run, without a model.
#pragma once

#include <memory>
#include <optional>

#include "atlas/test_support.h"
#include "interpret/prompt.h"
#include "serve/api_server.h"
#include "serve/serve_testing.h"

namespace safesail {

class ApiTest : public AtlasTest {
 protected:
  static constexpr std::int32_t kFeatures = 40;

  void SetUp() override {
    AtlasTest::SetUp();
    write_atlas();
    write_run();
  }
  void TearDown() override {
    end();
    AtlasTest::TearDown();
  }

  void start(const ApiServerOptions& options) {
    end();
    server_ = std::make_unique<ApiServer>(options, nullptr, silent_);
    running_.emplace([this](std::stop_token stop) { server_->run(stop); });
  }
  void start() { start({.http = {}, .run = dir_, .atlas = dir_ / "atlas.sqlite"}); }
  void end() {
    running_.reset();
    server_.reset();
  }

  httplib::Response get(const std::string& path, const httplib::Headers& headers = {}) const {
    httplib::Client client("127.0.0.1", server_->http().port());
    const auto answer = client.Get("/api/v1" + path, headers);
    EXPECT_TRUE(answer) << path;
    return answer ? *answer : httplib::Response();
  }
  Json json(const std::string& path, int status = 200) const {
    const httplib::Response answer = get(path);
    EXPECT_EQ(answer.status, status) << path << " " << answer.body.substr(0, 500);
    return Json::parse(answer.body, nullptr, false);
  }

  SilentReporter silent_;
  std::unique_ptr<ApiServer> server_;
  std::optional<Running> running_;

 private:
  /// 40 features of two SAEs that read one site; scores rise with the index.
  void write_atlas() const {
    Atlas atlas(dir_ / "atlas.sqlite");
    SaeRow other = make_sae();
    other.name = "mlp_out.3/jumprelu-k32";
    const std::int64_t first = atlas.put_sae(make_sae()), second = atlas.put_sae(other);
    std::vector<std::int64_t> ids;
    for (std::int32_t i = 0; i < kFeatures; ++i) {
      FeatureRecord record = make_record(i);
      record.nearest = {{(i + 1) % kFeatures, 0.9F}};
      ids.push_back(atlas.put_feature(i % 4 == 3 ? second : first, record,
                                      i == 2 ? Atlas::insufficient(3) : "ok"));
      if (i == 2) continue;
      Explanation text = make_explanation("speaks of bombs \"" + std::to_string(i) + "\"");
      text.key.prompt_hash = Prompt("explain.v2").hash();
      text.raw = "Sure! {\"short\": \"speaks of bombs\"}";
      text.request_hash = fmt::format("request {}", i);
      const std::int64_t id = atlas.put_explanation(ids.back(), text);
      atlas.add_ledger_line({.purpose = "explain",
                             .feature = ids.back(),
                             .model = "judge-1",
                             .request_hash = text.request_hash,
                             .prompt_tokens = 100,
                             .money = 0.25});
      atlas.put_explanation(ids.back(), make_explanation("炸弹", "llm", "zh"));
      Explanation baseline = make_explanation("fires on bomb", "lexical");
      baseline.key.model.clear();
      atlas.put_explanation(ids.back(), baseline);
      Score score{.key = {"token", "judge-1", "def", 0}, .value = i * 0.02, .n_windows = 2};
      score.simulations.push_back({.exemplar = 0, .values = {0, 1, 0.5F}});
      atlas.put_score(id, score);
      atlas.put_tag(ids.back(), {i % 2 == 0 ? "terror" : "violence", "weapons", "pairs"});
      atlas.put_pair_metrics(
          ids.back(),
          {.concept_name = "terror",
           .language = "en",
           .f = 0.5,
           .p = 0.01,
           .n = 20,
           .accepted = true,
           .held_out = R"({"n_pairs":20,"auroc_twins":{"value":0.91,"low":0.8,"high":1},)"
                       R"("auroc_others":{"value":0.78,"low":0.4,"high":1},)"
                       R"("top_token":"bomb","n_without":4,)"
                       R"("auroc_without":{"value":0.5,"low":null,"high":null},)"
                       R"("one_word":true,"replicates":true,"specific":false})"});
    }
    std::vector<float> x(ids.size(), 0.5F), y(ids.size(), 0.25F);
    atlas.put_coordinates(ids, x, y);
  }

  void write_run() const {
    write_file(dir_ / "evaluation.jsonl",
               R"({"site":"mlp_out.3","output_site":"mlp_out.3","architecture":"topk","k":32,)"
               R"("n_features":1000,"seed":0,"path":"r/sae/mlp_out.3/topk-k32/sae.safetensors",)"
               R"("n_tokens":10,"fvu":0.3,"fvu_interval":[0.2,0.4],"l0":32.0,"dead_share":0.1,)"
               R"("cosine":0.8,"delta_loss":null})"
               "\n");
    std::string lines;
    for (int i = 1; i <= 1000; ++i)
      lines += fmt::format(
          R"({{"site":"mlp_out.3","architecture":"topk","k":32,"n_features":1000,"seed":0,)"
          R"("tokens":{},"loss":{},"l0":32.0}})"
          "\n",
          i * 100, 1.0 / i);
    write_file(dir_ / "metrics.jsonl", lines);
    fs::create_directories(dir_ / "select");
    write_file(dir_ / "select/recommendation.json",
               R"({"chosen":{"architecture":"topk","k":32,"n_features":1000,"seed":0},)"
               R"("reason":"it is alone","precision":{"accepted":9,"replicated":8,)"
               R"("share_replicated":{"value":0.89,"low":0.57,"high":0.98},"specific":0,)"
               R"("share_specific":{"value":0,"low":0,"high":0.3}},"floor":null,"ranking":[]})");
    write_file(dir_ / "select/metrics.jsonl",
               R"({"sae":"mlp_out.3/topk-k32","concept":"terror/weapons","domain":"terror",)"
               R"("subclass":"weapons","language":"en","n_pairs":20,"p":0.01,"n_tested":9,)"
               R"("n_candidates":2,"i_cdf":{"value":0.05,"interval":[0.04,0.06],"null":0.02,)"
               R"("null_interval":[0.01,0.03]},"reverse_i_cdf":{"value":0.01,"interval":[0,0.02]},)"
               R"("l0_t":[{"t":0.0,"value":3,"interval":[1,5],"null":2,"null_interval":[0,4]}]})"
               "\n");
  }
};

}  // namespace safesail
