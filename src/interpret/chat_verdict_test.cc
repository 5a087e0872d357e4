#include "interpret/chat_verdict.h"

#include <gtest/gtest.h>

namespace safesail {
namespace {

using Kind = ChatVerdict::Kind;
using Transport = HttpReply::Transport;

Kind of_status(int status, const std::string& body = "{}") {
  return judge({.transport = Transport::ok,
                .problem = "",
                .status = status,
                .body = body,
                .retry_after = {}})
      .kind;
}

TEST(ChatVerdict, JudgesEachStatus) {
  EXPECT_EQ(of_status(200), Kind::answer);
  for (const int status : {408, 409, 425, 429, 500, 502, 503, 504, 529})
    EXPECT_EQ(of_status(status), Kind::again) << status;
  for (const int status : {401, 402, 403, 404, 405})
    EXPECT_EQ(of_status(status), Kind::end) << status;
  for (const int status : {400, 422}) EXPECT_EQ(of_status(status), Kind::adapt) << status;
  for (const int status : {0, 204, 301, 302, 413, 418})
    EXPECT_EQ(of_status(status), Kind::failed) << status;
  EXPECT_EQ(of_status(429, R"({"error": {"code": "insufficient_quota"}})"), Kind::end);
  EXPECT_EQ(of_status(400, R"({"error": {"message": "x", "code": "content_filter"}})"),
            Kind::refused);
}

TEST(ChatVerdict, JudgesTransport) {
  const auto of = [](Transport transport) {
    return judge(
        {.transport = transport, .problem = "why", .status = 0, .body = "", .retry_after = {}});
  };
  EXPECT_EQ(of(Transport::broken).kind, Kind::again);
  EXPECT_EQ(of(Transport::broken).detail, "why");
  EXPECT_EQ(of(Transport::unusable).kind, Kind::failed);
  EXPECT_EQ(of(Transport::stopped).kind, Kind::end);
}

}  // namespace
}  // namespace safesail
