#include "interpret/endpoint.h"

#include <cstdlib>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"

namespace safesail {
namespace {

using testing::HasSubstr;
using testing::Not;

EndpointSettings good() {
  EndpointSettings settings;
  settings.base_url = "https://api.example.org/v1";
  settings.model = "some-model";
  return settings;
}

std::string complaint(const EndpointSettings& settings) {
  try {
    check_endpoint(settings);
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::input);
    return error.what();
  }
  return "";
}

TEST(Endpoint, KnowsWhoCanListen) {
  for (const char* url : {"https://api.example.org/v1", "http://127.0.0.1:8080/v1",
                          "http://localhost/v1", "http://127.0.0.1", "http://[::1]:8080/v1"})
    EXPECT_TRUE(is_private(url)) << url;
  for (const char* url : {"http://127.0.0.1.evil.org/v1", "http://localhost.evil.org/v1",
                          "http://localhostess/v1", "http://api.example.org/v1",
                          "http://example.org/127.0.0.1", "http://[::1].evil/v1", "ftp://x"})
    EXPECT_FALSE(is_private(url)) << url;
}

TEST(Endpoint, ChecksSettings) {
  EXPECT_EQ(complaint(good()), "");
  EndpointSettings bad = good();
  bad.base_url = "api.example.org";
  EXPECT_THAT(complaint(bad), HasSubstr("http://"));
  for (const char* url :
       {"https://me:secret@host/v1", "https://host/v1?key=secret", "https://host/#secret"}) {
    bad.base_url = url;
    EXPECT_NE(complaint(bad), "") << url;
    EXPECT_THAT(complaint(bad), Not(HasSubstr("secret"))) << "what may be a key is not shown";
  }
  bad = good();
  bad.model.clear();
  EXPECT_THAT(complaint(bad), HasSubstr("--llm"));
  bad = good();
  bad.concurrency = 0;
  EXPECT_THAT(complaint(bad), HasSubstr("concurrency"));
  bad = good();
  bad.temperature = -1;
  EXPECT_THAT(complaint(bad), HasSubstr("temperature"));
}

TEST(ApiKey, ComesFromTheEnvironmentOrAFile) {
  ::setenv("SAFESAIL_TEST_KEY", "sk-1234567890", 1);
  EXPECT_EQ(ApiKey::from_environment("SAFESAIL_TEST_KEY").authorization(),
            "Authorization: Bearer sk-1234567890");
  ::unsetenv("SAFESAIL_TEST_KEY");
  EXPECT_THROW(ApiKey::from_environment("SAFESAIL_TEST_KEY"), Error);

  const fs::path path = fs::temp_directory_path() / fmt::format("safesail_key{}", ::getpid());
  write_file(path, "sk-from-a-file\r\n");
  EXPECT_EQ(ApiKey::from_file(path).authorization(), "Authorization: Bearer sk-from-a-file");
  // A second line would be a second header.
  write_file(path, "sk-secret\nX-Other: 1\n");
  try {
    ApiKey::from_file(path);
    ADD_FAILURE() << "two lines were taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), Not(HasSubstr("sk-secret")));
  }
  write_file(path, "\n");
  EXPECT_THROW(ApiKey::from_file(path), Error);
  fs::remove(path);
  EXPECT_EQ(ApiKey().authorization(), "");
}

TEST(ApiKey, IsTakenOutOfTexts) {
  ::setenv("SAFESAIL_TEST_KEY", "sk-12345678", 1);
  const ApiKey key = ApiKey::from_environment("SAFESAIL_TEST_KEY");
  EXPECT_EQ(key.without_key("a sk-12345678sk-12345678 b"), "a [key][key] b");
  EXPECT_EQ(key.without_key("nothing"), "nothing");
  ::setenv("SAFESAIL_TEST_KEY", "1", 1);
  EXPECT_EQ(ApiKey::from_environment("SAFESAIL_TEST_KEY").without_key("[1,0,1]"), "[1,0,1]")
      << "a placeholder is no secret";
  ::unsetenv("SAFESAIL_TEST_KEY");
}

}  // namespace
}  // namespace safesail
