// The atlas as its users meet it: from published files to listings and back, and one clear error
// for each kind of bad input.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "workspace.h"

namespace safesail {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

class AtlasCli : public WorkspaceTest {
 protected:
  void SetUp() override {
    WorkspaceTest::SetUp();
    write_file(dir_ / "in/en_db.json",
               R"({"17_5": {"explanation": "Words of bombs", "correlation_score": 0.25,
                            "tag_list": ["terror", "politics"]},
                   "17_7": {"explanation": "Weather", "correlation_score": 0.5, "tag_list": []}})");
    write_file(dir_ / "in/cn_db.json",
               R"({"17_5": {"explanation": "炸弹的词", "correlation_score": 0.25,
                            "tag_list": ["terror", "politics"]}})");
  }
  Json json_of(const std::string& arguments) const {
    const Outcome outcome = run_safesail("atlas " + arguments + " --json");
    EXPECT_EQ(outcome.exit_code, 0) << arguments << "\n" << outcome.output;
    return Json::parse(outcome.output, nullptr, /*allow_exceptions=*/false);
  }
  void expect_bad_input(const std::string& arguments, const std::string& says) const {
    const Outcome outcome = run_safesail("atlas " + arguments);
    EXPECT_EQ(outcome.exit_code, 2) << arguments << "\n" << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr(says)) << arguments;
    EXPECT_THAT(outcome.output, HasSubstr("error: ")) << arguments;
  }
  std::string path(const char* name) const { return (dir_ / name).string(); }
  std::string atlas() const { return " --atlas " + path("a.sqlite"); }
};

TEST_F(AtlasCli, EveryCommandHasHelpWithAnExample) {
  for (const char* command :
       {"import", "export", "validate", "search", "list", "stats", "show", "landscape"}) {
    const Outcome outcome = run_safesail(std::string("atlas ") + command + " --help");
    EXPECT_EQ(outcome.exit_code, 0) << command;
    EXPECT_THAT(outcome.output, HasSubstr("Example")) << command;
  }
}

TEST_F(AtlasCli, FromPublishedFilesToListingsAndBack) {
  EXPECT_EQ(json_of("import " + path("in") + atlas())["n_features"], 2);
  const Json stats = json_of("stats" + atlas());
  EXPECT_EQ(stats["features"], 2);
  EXPECT_EQ(stats["by_language"]["zh"], 1);
  EXPECT_EQ(json_of("list" + atlas() + " --domain terror")["total"], 1);
  EXPECT_EQ(json_of("list" + atlas())["features"][0]["name"], "mlp_out.17:7") << "by score";
  EXPECT_EQ(json_of("search 炸弹" + atlas())["features"][0]["index"], 5);
  EXPECT_EQ(json_of("show 17_5" + atlas())["explanations"].size(), 2u);
  EXPECT_EQ(json_of("validate " + path("in"))["violations"].size(), 0u);

  for (const char* format : {"safe-sail", "neuronpedia", "delphi"}) {
    const std::string out = path(format);
    json_of("export" + atlas() + " --to " + format + " --out " + out);
    EXPECT_EQ(json_of("validate " + out)["violations"].size(), 0u) << format;
    const std::string again = " --atlas " + out + ".sqlite";
    EXPECT_EQ(json_of("import " + out + again)["n_features"], 2) << format;
    EXPECT_EQ(json_of("search bombs" + again)["total"], 1) << format;
  }
  EXPECT_EQ(Json::parse(read_file(dir_ / "safe-sail/en_db.json", 1 << 20)),
            Json::parse(read_file(dir_ / "in/en_db.json", 1 << 20)));
}

TEST_F(AtlasCli, AFolderStandsForTheAtlasInIt) {
  json_of("import " + path("in") + " --atlas " + path("run/atlas.sqlite"));
  EXPECT_EQ(json_of("stats --atlas " + path("run"))["features"], 2);
}

TEST_F(AtlasCli, BadInputIsOneErrorAndLeavesNothing) {
  expect_bad_input("list --atlas " + path("none.sqlite"), "no such database");
  write_file(dir_ / "text.sqlite", "this is no database, but it is long enough to look at");
  expect_bad_input("list --atlas " + path("text.sqlite"), "expected a database of Safesail");
  expect_bad_input("import " + path("nowhere") + atlas(), "expected a folder");
  fs::create_directories(dir_ / "empty");
  expect_bad_input("import " + path("empty") + atlas(), "neuronpedia");
  expect_bad_input("import " + path("in") + atlas() + " --from nothing", "no such format");
  write_file(dir_ / "bad/en_db.json", "{\"17_5\": {\"explanation\": 1}}");
  expect_bad_input("import " + path("bad") + atlas(), "en_db.json:1");
  EXPECT_FALSE(fs::exists(dir_ / "a.sqlite"));
  expect_bad_input("validate " + path("bad"), "violations");

  json_of("import " + path("in") + atlas());
  expect_bad_input("show 17_6" + atlas(), "there is no feature 17_6");
  expect_bad_input("list" + atlas() + " --sort beauty", "beauty");
  expect_bad_input("list" + atlas() + " --limit 0", "limit");
  expect_bad_input("export" + atlas() + " --to neuronpedia --out " + path("in"), "exists already");
  EXPECT_EQ(run_safesail("atlas list" + atlas() + " --min-score high").exit_code, 2);
}

}  // namespace
}  // namespace safesail
