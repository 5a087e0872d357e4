#include "serve/static_files.h"

#include <fstream>
#include <gmock/gmock.h>
#include <optional>

#include "base/error.h"
#include "serve/serve_testing.h"

namespace safesail {
namespace {

using testing::HasSubstr;

class StaticFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    dir_ =
        fs::temp_directory_path() / fmt::format("safesail_static_{}_{}", info->name(), ::getpid());
    fs::remove_all(dir_);
    fs::create_directories(dir_ / "page/assets");
    write_file(dir_ / "page/index.html", "<!doctype html>the page");
    write_file(dir_ / "page/assets/index-abc.js", "const long_name = 1;" + std::string(5'000, ' '));
    write_file(dir_ / "page/empty.txt", "");
    write_file(dir_ / "secret.txt", "a secret");
    fs::create_symlink(dir_ / "secret.txt", dir_ / "page/link.txt");
  }
  void TearDown() override {
    running_.reset();
    server_.reset();
    fs::remove_all(dir_);
  }
  void serve() {
    files_.emplace(dir_ / "page");
    server_.emplace(HttpOptions{}, silent_);
    files_->mount(*server_);
    running_.emplace([this](std::stop_token stop) { server_->run(stop); });
  }
  httplib::Response get(const std::string& path, const httplib::Headers& headers = {}) const {
    httplib::Client client("127.0.0.1", server_->port());
    client.set_decompress(false);
    const auto answer = client.Get(path, headers);
    EXPECT_TRUE(answer) << path;
    return answer ? *answer : httplib::Response();
  }

  fs::path dir_;
  SilentReporter silent_;
  std::optional<StaticFiles> files_;
  std::optional<HttpServer> server_;
  std::optional<Running> running_;
};

TEST_F(StaticFilesTest, ServesThePage) {
  serve();
  const auto page = get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.body, "<!doctype html>the page");
  EXPECT_EQ(page.get_header_value("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(page.get_header_value("Cache-Control"), "no-cache");
  EXPECT_EQ(get("/index.html").body, page.body);
  EXPECT_EQ(get("/?a=1").body, page.body);
  const auto script = get("/assets/index-abc.js");
  EXPECT_THAT(script.body, HasSubstr("long_name"));
  EXPECT_EQ(script.get_header_value("Content-Type"), "text/javascript; charset=utf-8");
  EXPECT_THAT(script.get_header_value("Cache-Control"), HasSubstr("immutable"));
  EXPECT_EQ(get("/empty.txt").status, 200);
}

TEST_F(StaticFilesTest, SendsNothingTwice) {
  serve();
  const std::string tag = get("/").get_header_value("ETag");
  EXPECT_EQ(get("/", {{"If-None-Match", tag}}).status, 304);
  EXPECT_EQ(get("/", {{"If-None-Match", "\"other\", W/" + tag}}).status, 304);
  EXPECT_EQ(get("/", {{"If-None-Match", "\"other\""}}).status, 200);
  EXPECT_NE(get("/assets/index-abc.js").get_header_value("ETag"), tag);
}

TEST_F(StaticFilesTest, PacksOnce) {
  serve();
  const auto plain = get("/assets/index-abc.js", {{"Accept-Encoding", "identity"}});
  const auto packed = get("/assets/index-abc.js", {{"Accept-Encoding", "gzip"}});
  EXPECT_FALSE(plain.has_header("Content-Encoding"));
  EXPECT_EQ(packed.get_header_value("Content-Encoding"), "gzip");
  EXPECT_EQ(packed.get_header_value_count("Content-Encoding"), 1U);
  EXPECT_LT(packed.body.size() * 10, plain.body.size());
  EXPECT_TRUE(packed.body.starts_with("\x1f\x8b"));
  EXPECT_FALSE(packed.body.substr(2).find("\x1f\x8b\x08") == 0) << "packed twice";
}

TEST_F(StaticFilesTest, LetsNoPathOut) {
  serve();
  const std::string tricks[] = {"/../secret.txt",
                                "/assets/../../secret.txt",
                                "/%2e%2e/secret.txt",
                                "/..%2fsecret.txt",
                                "/%2e%2e%2fsecret.txt",
                                "/..\\secret.txt",
                                "/..%5csecret.txt",
                                "//secret.txt",
                                "/link.txt",
                                "/index.html%00.txt",
                                "/index.html/",
                                "/assets",
                                "/assets/",
                                "/./index.html",
                                "/" + (dir_ / "secret.txt").string(),
                                "/%",
                                "/%zz",
                                "/\xff\xfe"};
  for (const std::string& path : tricks) {
    const RawClient one(server_->port());
    one.send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    const std::string answer = one.receive();
    EXPECT_EQ(status_of(answer), 404) << path;
    EXPECT_EQ(answer.find("a secret"), answer.npos) << path;
  }
  EXPECT_EQ(get("/").status, 200);
}

TEST_F(StaticFilesTest, KeepsWhatWasThereAtTheStart) {
  serve();
  write_file(dir_ / "page/index.html", "another");
  write_file(dir_ / "page/later.txt", "later");
  EXPECT_EQ(get("/").body, "<!doctype html>the page");
  EXPECT_EQ(get("/later.txt").status, 404);
}

TEST_F(StaticFilesTest, WantsAPage) {
  EXPECT_THROW(StaticFiles(dir_ / "page/assets"), Error);
  for (int i = 0; i < 2'000; ++i) std::ofstream(dir_ / "page" / std::to_string(i));
  EXPECT_THROW(StaticFiles(dir_ / "page"), Error);
}

}  // namespace
}  // namespace safesail
