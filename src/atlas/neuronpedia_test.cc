#include "atlas/neuronpedia.h"

#include <gmock/gmock.h>

#include "atlas/interchange.h"
#include "atlas/neuronpedia_rows.h"
#include "atlas/output.h"
#include "atlas/test_support.h"
#include "base/error.h"
#include "formats/json.h"
#include "formats/line_reader.h"

namespace safesail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<Json> rows_of(const fs::path& path) {
  std::vector<Json> rows;
  LineReader lines{ByteStream(path)};
  while (const auto line = lines.next()) rows.push_back(parse_json(*line, lines.where()));
  return rows;
}

class NeuronpediaTest : public AtlasTest {
 protected:
  fs::path source() const { return dir_ / "in/v1/gpt2-small/6-res-jb"; }

  static std::string feature(int index, const std::string& more = "") {
    return R"({"modelId":"gpt2-small","layer":"6-res-jb","index":")" + std::to_string(index) +
           R"(","sourceSetName":"res-jb","creatorId":"c1","maxActApprox":4.123456789,)"
           R"("frac_nonzero":0.00125,"hookName":"blocks.6.hook_resid_pre",)"
           R"("pos_str":[" bomb"],"pos_values":[1.25],"neg_str":["a","b"],"neg_values":[-1,-0.5],)"
           R"("topkCosSimIndices":[0,7],"topkCosSimValues":[1,0.5],"vector":[0.1,-0.25])" +
           more + "}\n";
  }
  static std::string activation(int index, const std::string& tokens, const std::string& values,
                                const std::string& bin = "-1") {
    return R"({"id":"a1","modelId":"gpt2-small","layer":"6-res-jb","index":")" +
           std::to_string(index) + R"(","creatorId":"c1","dataSource":"pile","tokens":)" + tokens +
           R"(,"values":)" + values +
           R"(,"maxValue":4.0,"minValue":0,"maxValueTokenIndex":0,"binMin":)" + bin +
           R"(,"binMax":4.0,"binContains":-1})" + "\n";
  }
  static std::string explanation(int index, const std::string& text, const std::string& id = "e1") {
    return R"({"id":")" + id + R"(","modelId":"gpt2-small","layer":"6-res-jb","index":")" +
           std::to_string(index) + R"(","authorId":"u1","description":)" + text +
           R"(,"typeName":"oai_token-act-pair","explanationModelName":"gpt-4o-mini","umap_x":1.5})" +
           "\n";
  }
  void write_source() const {
    write_file(source() / "model.jsonl", R"({"id":"gpt2-small","layers":12})"
                                         "\n");
    write_file(source() / "source.jsonl", R"({"id":"6-res-jb","modelId":"gpt2-small"})"
                                          "\n");
    // By text in one, by number in the other: joining by the number of the batch would mix them up.
    write_file(source() / "features/batch-0.jsonl", feature(1) + feature(1030));
    write_file(source() / "features/batch-1.jsonl", feature(2));
    write_file(source() / "activations/batch-0.jsonl",
               activation(1, R"(["a"," bomb"])", "[0,4.0]") +
                   activation(2, R"(["two"])", "[0.123456789012]", "0.5"));
    write_file(source() / "activations/batch-1.jsonl", activation(1030, R"(["late"])", "[2]"));
    write_file(source() / "explanations/batch-0.jsonl", explanation(1030, "\"late words\"") +
                                                            explanation(1, "\"bombs\"", "e2") +
                                                            explanation(1, "\"explosives\"", "e3"));
  }
  std::vector<Violation> violations() const {
    return validate_folder(format_of_folder(dir_ / "in"), dir_ / "in");
  }
};

TEST_F(NeuronpediaTest, ComesInJoinedByIndex) {
  write_source();
  Atlas atlas(dir_ / "atlas.sqlite");
  const ImportReport report = import_neuronpedia(atlas, dir_ / "in");
  EXPECT_EQ(report.n_features, 3);
  EXPECT_EQ(report.n_exemplars, 3);
  EXPECT_EQ(report.n_explanations, 3);
  const FeatureEntry late = atlas.entry(atlas.feature_named("6_1030"));
  EXPECT_EQ(late.model, "gpt2-small");
  EXPECT_EQ(late.record.site, "resid_pre.6");
  EXPECT_EQ(late.record.sae, "6-res-jb");
  ASSERT_EQ(late.record.exemplars.size(), 1u);
  EXPECT_EQ(late.record.exemplars[0].window.text, "late");
  ASSERT_EQ(late.explanations.size(), 1u);
  EXPECT_EQ(late.explanations[0].explanation.short_text, "late words");
  EXPECT_EQ(late.record.promoted.at(0).text, " bomb");
  EXPECT_EQ(late.record.nearest.at(1).feature, 7);
  const FeatureEntry first = atlas.entry(atlas.feature_named("6_1"));
  EXPECT_EQ(first.explanations.size(), 2u) << "two of one type and model";
  EXPECT_EQ(first.record.exemplars[0].kind, WindowKind::top);
  EXPECT_EQ(first.record.exemplars[0].window.token(1), " bomb");
  EXPECT_EQ(atlas.entry(atlas.feature_named("6_2")).record.exemplars[0].kind, WindowKind::level);
  EXPECT_EQ(atlas.list({.min_density = 0.001, .max_density = 0.002}).n_total, 3);
}

TEST_F(NeuronpediaTest, GoesOutAsItCameIn) {
  write_source();
  Atlas atlas(dir_ / "atlas.sqlite");
  import_neuronpedia(atlas, dir_ / "in");
  export_neuronpedia(atlas, dir_ / "out");
  const fs::path out = dir_ / "out/v1/gpt2-small/6-res-jb";
  for (const char* file : {"model.jsonl", "source.jsonl"})
    EXPECT_EQ(rows_of(out / file), rows_of(source() / file)) << file;
  for (const char* kind : {"features", "activations", "explanations"}) {
    std::vector<Json> in, back;
    for (const char* batch : {"batch-0.jsonl", "batch-1.jsonl"}) {
      if (fs::exists(source() / kind / batch))
        for (Json& row : rows_of(source() / kind / batch)) in.push_back(row);
      const fs::path file = out / kind / (std::string(batch) + ".gz");
      if (fs::exists(file))
        for (Json& row : rows_of(file)) back.push_back(row);
    }
    EXPECT_THAT(back, testing::UnorderedElementsAreArray(in)) << kind;
  }
  EXPECT_EQ(rows_of(out / "activations/batch-1.jsonl.gz").at(0)["index"], "1030");
  EXPECT_EQ(rows_of(out / "features/batch-0.jsonl.gz").at(1)["index"], "1030") << "sorted by text";
}

TEST_F(NeuronpediaTest, OurOwnFeaturesComeBackWhole) {
  FeatureRecord record = make_record(5);
  // A character cut in two by tokens: no list of strings can hold that.
  record.exemplars[0].window.text = "a é!";
  record.exemplars[0].window.starts = {0, 3, 4, 5};
  Atlas atlas(dir_ / "atlas.sqlite");
  const std::int64_t id = atlas.put_feature(atlas.put_sae(make_sae()), record);
  Score score;
  score.key = {"segment", "judge", "h", 0};
  score.value = 0.5;
  score.n_refused = 3;
  score.simulations = {{1, {0.5F, 1.0F}}};
  Explanation explanation = make_explanation("बम", "llm", "hi");
  explanation.long_text = "long";
  explanation.key.seed = 0xFFFFFFFFFFFFFFFFu;
  const std::int64_t text = atlas.put_explanation(id, explanation);
  atlas.put_score(text, score);
  score.key.seed = 0xFFFFFFFFFFFFFFFEu;
  score.key.windows = 20;
  score.key.batch = 6;
  score.key.questions = "asked";
  atlas.put_score(text, score);
  // A text without a score, as translations are, beside others that have some.
  atlas.put_explanation(id, make_explanation("炸弹", "llm", "zh"));
  const float x = 0.25F, y = 0.75F;
  atlas.put_coordinates({&id, 1}, {&x, 1}, {&y, 1});
  export_neuronpedia(atlas, dir_ / "in");
  EXPECT_THAT(violations(), testing::IsEmpty());

  Atlas other(dir_ / "other.sqlite");
  import_neuronpedia(other, dir_ / "in");
  const FeatureEntry entry = other.entry(other.feature_named("mlp_out.3:5"));
  ASSERT_EQ(entry.record.exemplars.size(), 2u);
  const Exemplar& got = entry.record.exemplars[0];
  EXPECT_EQ(got.window.text, "a é!");
  EXPECT_EQ(got.window.starts, record.exemplars[0].window.starts);
  EXPECT_EQ(got.window.ids, record.exemplars[0].window.ids);
  EXPECT_EQ(got.window.document, record.exemplars[0].window.document);
  EXPECT_EQ(got.window.activation, record.exemplars[0].window.activation);
  EXPECT_EQ(entry.record.exemplars[1].use, Use::test);
  EXPECT_EQ(entry.record.n_active, record.n_active);
  EXPECT_EQ(entry.record.histogram, record.histogram);
  EXPECT_EQ(entry.record.parts, record.parts);
  ASSERT_EQ(entry.explanations.size(), 2u);
  EXPECT_EQ(entry.explanations[1].explanation.key.language, "zh");
  EXPECT_EQ(entry.explanations[0].explanation.key.language, "hi");
  EXPECT_EQ(entry.explanations[0].explanation.key.seed, explanation.key.seed);
  EXPECT_EQ(entry.explanations[0].explanation.long_text, "long");
  ASSERT_EQ(entry.explanations[0].scores.size(), 2u) << "two seeds are two scores";
  EXPECT_EQ(entry.explanations[0].scores[0].n_refused, 3);
  EXPECT_EQ(entry.explanations[0].scores[1].key, score.key);
  ASSERT_EQ(entry.explanations[0].scores[1].simulations.size(), 1u);
  EXPECT_EQ(entry.explanations[0].scores[1].simulations[0].exemplar, 1u);
  EXPECT_THAT(entry.explanations[0].scores[1].simulations[0].values, ElementsAre(0.5F, 1.0F));
  EXPECT_EQ(entry.x, 0.25);
  EXPECT_EQ(entry.y, 0.75);
}

TEST_F(NeuronpediaTest, EachViolationIsNamedWithFileAndLine) {
  write_source();
  fs::remove(source() / "source.jsonl");
  write_file(source() / "features/batch-0.jsonl",
             feature(1) + feature(1030, R"(,"more":1)") + "{\"modelId\": 5}\n" + feature(1) + "{");
  write_file(source() / "activations/batch-0.jsonl",
             activation(1, R"(["a"])", "[0,4.0]") + activation(99, R"(["two"])", "[1]"));
  std::vector<std::string> lines;
  for (const Violation& one : violations())
    lines.push_back(fs::path(one.where).filename().string() + " " + one.problem);
  EXPECT_THAT(lines, ElementsAre(HasSubstr("source.jsonl there is no such file"),
                                 AllOf(HasSubstr("batch-0.jsonl:2"), HasSubstr("more")),
                                 AllOf(HasSubstr("batch-0.jsonl:3"), HasSubstr("modelId")),
                                 AllOf(HasSubstr("batch-0.jsonl:4"), HasSubstr("twice")),
                                 HasSubstr("batch-0.jsonl:5"),
                                 AllOf(HasSubstr("batch-0.jsonl:1"), HasSubstr("values")),
                                 AllOf(HasSubstr("batch-0.jsonl:2"), HasSubstr("feature 99"))));
  EXPECT_THROW(import_folder(format_of_folder(dir_ / "in"), dir_ / "in", dir_ / "x.sqlite"), Error);
  EXPECT_FALSE(fs::exists(dir_ / "x.sqlite"));
}

TEST_F(NeuronpediaTest, HostileRowsAreRefusedAndNothingIsKept) {
  const auto error_of = [&](const std::string& row) -> std::string {
    write_source();
    write_file(source() / "activations/batch-0.jsonl", activation(1, R"(["a"])", "[1]") + row);
    try {
      import_folder(format_of_folder(dir_ / "in"), dir_ / "in", dir_ / "x.sqlite");
    } catch (const Error& error) {
      EXPECT_FALSE(fs::exists(dir_ / "x.sqlite")) << row;
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(error_of(activation(1, R"(["a"])", "[1e300]")), HasSubstr("too large"));
  EXPECT_THAT(error_of(activation(1, R"(["a"])", "[1e999]")), HasSubstr("batch-0.jsonl:2"));
  EXPECT_THAT(error_of(activation(1, R"("a")", "[1]")), HasSubstr("tokens"));
  EXPECT_THAT(error_of(activation(1, R"([1])", "[1]")), HasSubstr("tokens"));
  EXPECT_THAT(error_of(activation(1, R"(["a"])", "[1],\"values\":[2]")), HasSubstr("twice"));
  EXPECT_THAT(error_of(activation(1, R"(["a"])", "[1]").substr(0, 90)),
              HasSubstr("batch-0.jsonl:2"));
  EXPECT_THAT(error_of("[]\n"), HasSubstr("batch-0.jsonl:2"));
  EXPECT_THAT(error_of(R"({"modelId":"gpt2-small","layer":"6-res-jb","index":5})"),
              HasSubstr("index"));
  EXPECT_THAT(error_of(R"({"modelId":"gpt2-small","layer":"6-res-jb","index":"99999999999"})"),
              HasSubstr("index"));
}

TEST_F(NeuronpediaTest, NamesCannotLeadOutOfTheFolder) {
  Atlas atlas(dir_ / "atlas.sqlite");
  SaeRow sae = make_sae();
  sae.model = "../../model";
  sae.name = "/../../etc";
  sae.details = R"({"neuronpedia": {"../../../evil.jsonl": [{"a": 1}]}})";
  atlas.put_feature(atlas.put_sae(sae), make_record(1));
  export_neuronpedia(atlas, dir_ / "out");
  std::size_t n_outside = 0;
  for (const auto& item : fs::directory_iterator(dir_))
    n_outside += item.path().filename().string().find("atlas.sqlite") == std::string::npos &&
                 item.path().filename() != "out";
  EXPECT_EQ(n_outside, 0u);
  EXPECT_TRUE(fs::exists(dir_ / "out/v1/_.._.._model"));
  EXPECT_THROW(export_neuronpedia(atlas, dir_ / "out"), Error) << "the folder exists";
}

TEST(SafeFileName, KeepsWhatIsHarmless) {
  EXPECT_EQ(safe_file_name("6-res_jb.v1"), "6-res_jb.v1");
  EXPECT_EQ(safe_file_name("a/b\\c\0d"), "a_b_c");
  EXPECT_EQ(safe_file_name(".."), "_..");
  EXPECT_EQ(safe_file_name(""), "_");
  EXPECT_EQ(safe_file_name(std::string(1000, 'x')).size(), 120u);
}

TEST(Neuronpedia, AListOfScoresMayBeNullOrMissing) {
  const auto scores = [](const char* text) {
    const Json json = Json::parse(text);
    return neuronpedia::explanation_of(JsonObject(json, "row")).scores;
  };
  EXPECT_TRUE(scores(R"({"id": "x", "description": "bombs", "scores": null})").empty());
  EXPECT_TRUE(scores(R"({"id": "x", "description": "bombs"})").empty());
  EXPECT_THROW(scores(R"({"id": "x", "description": "bombs", "scores": 5})"), Error);
}

TEST(Neuronpedia, HooksAndSites) {
  const auto site = [](const char* hook, const char* model) {
    return neuronpedia::site_of_hook(hook, model);
  };
  EXPECT_EQ(site("blocks.17.hook_mlp_out", "gpt2-small"), "mlp_out.17");
  EXPECT_EQ(site("blocks.17.hook_mlp_out", "gemma-2-2b"), "mlp_post.17");
  EXPECT_EQ(site("blocks.17.hook_mlp_out", "gemma-2b"), "mlp_out.17");
  // No sites: the stream before the norm, and the norm's output before its weight.
  for (const char* hook :
       {"blocks.x.hook_mlp_out", "blocks.3.hook_mlp_in", "blocks.3.ln2.hook_normalized"})
    EXPECT_EQ(site(hook, "gpt2-small"), hook);
  EXPECT_EQ(neuronpedia::layer_of_source("20-gemmascope-res-16k"), 20);
  EXPECT_EQ(neuronpedia::layer_of_source("x"), 0);
}

}  // namespace
}  // namespace safesail
