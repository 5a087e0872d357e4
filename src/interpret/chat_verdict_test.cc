#include "interpret/chat_verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/json.h"

namespace safesail {
namespace {

using Kind = ChatVerdict::Kind;
using Transport = HttpReply::Transport;

using Complaint = ChatVerdict::Complaint;

ChatVerdict verdict_of(int status, const std::string& body = "{}",
                       const std::string& moved_to = "") {
  return judge({.transport = Transport::ok,
                .problem = "",
                .status = status,
                .body = body,
                .moved_to = moved_to,
                .retry_after = {}});
}
Kind of_status(int status, const std::string& body = "{}") {
  return verdict_of(status, body).kind;
}

TEST(ChatVerdict, JudgesEachStatus) {
  EXPECT_EQ(of_status(200), Kind::answer);
  for (const int status : {408, 409, 425, 429, 500, 502, 503, 504, 529})
    EXPECT_EQ(of_status(status), Kind::again) << status;
  for (const int status : {401, 402, 403, 404, 405})
    EXPECT_EQ(of_status(status), Kind::end) << status;
  for (const int status : {400, 422}) {
    EXPECT_EQ(of_status(status), Kind::failed) << status;
    EXPECT_EQ(verdict_of(status).complaint, Complaint::likely) << status;
  }
  for (const int status : {403, 500, 501})
    EXPECT_EQ(verdict_of(status).complaint, Complaint::if_named) << status;
  for (const int status : {401, 404, 429, 503, 413})
    EXPECT_EQ(verdict_of(status).complaint, Complaint::none) << status;
  for (const int status : {0, 204, 301, 302, 413, 418})
    EXPECT_EQ(of_status(status), Kind::failed) << status;
  EXPECT_EQ(of_status(429, R"({"error": {"code": "insufficient_quota"}})"), Kind::end);
  EXPECT_EQ(of_status(400, R"({"error": {"message": "x", "code": "content_filter"}})"),
            Kind::refused);
}

TEST(ChatVerdict, ATextThatIsTooLongIsNoComplaintAboutAField) {
  for (const char* said :
       {"This model's maximum context length is 4096 tokens, 'max_tokens' is too large",
        "the request exceeds the available context size, try increasing it",
        "prompt is too long: 20000 tokens > 8192 maximum",
        "The input token count (9000) exceeds the maximum number of tokens allowed (8192)."}) {
    const ChatVerdict verdict = verdict_of(400, Json{{"error", {{"message", said}}}}.dump());
    EXPECT_EQ(verdict.kind, Kind::failed) << said;
    EXPECT_EQ(verdict.complaint, Complaint::none) << said;
  }
  EXPECT_EQ(verdict_of(400, R"({"error": {"message": "x", "code": "context_length_exceeded"}})")
                .complaint,
            Complaint::none);
}

TEST(ChatVerdict, NamesTheAddressOfARedirect) {
  for (const int status : {301, 302, 307, 308}) {
    const ChatVerdict verdict =
        verdict_of(status, "{}", "https://me:secret@other.org/v2/chat/completions?key=secret");
    EXPECT_EQ(verdict.kind, Kind::end);
    EXPECT_THAT(verdict.detail, testing::HasSubstr("https://other.org/v2"));
    EXPECT_THAT(verdict.detail, testing::Not(testing::HasSubstr("secret")));
    EXPECT_THAT(verdict.remedy, testing::HasSubstr("--endpoint"));
  }
}

TEST(ChatVerdict, JudgesTransport) {
  const auto of = [](Transport transport) {
    return judge({.transport = transport,
                  .problem = "why",
                  .status = 0,
                  .body = "",
                  .moved_to = "",
                  .retry_after = {}});
  };
  EXPECT_EQ(of(Transport::broken).kind, Kind::again);
  EXPECT_EQ(of(Transport::broken).detail, "why");
  EXPECT_EQ(of(Transport::unusable).kind, Kind::failed);
  EXPECT_EQ(of(Transport::stopped).kind, Kind::end);
}

}  // namespace
}  // namespace safesail
