#include "interpret/chat_verdict.h"

#include <fmt/format.h>

#include "interpret/chat_answer.h"

namespace safesail {

ChatVerdict judge(const HttpReply& reply) {
  using Kind = ChatVerdict::Kind;
  switch (reply.transport) {
    case HttpReply::Transport::ok:
      break;
    case HttpReply::Transport::broken:
      return {Kind::again, reply.problem};
    case HttpReply::Transport::unusable:
      return {Kind::failed, reply.problem};
    case HttpReply::Transport::stopped:
      return {Kind::end, "stopped"};
  }
  if (reply.status == 200) return {Kind::answer, ""};

  const std::string said = error_text(reply.body);
  const std::string detail = fmt::format("HTTP {}: {}", reply.status, said);
  const auto says = [&](std::string_view word) { return said.find(word) != said.npos; };
  switch (reply.status) {
    case 401:
    case 402:
    case 403:
    case 404:
    case 405:
      return {Kind::end, detail};
    case 400:
    case 422:
      // Azure and others answer so where their filter stopped the prompt.
      return {says("content_filter") || says("content_policy") ? Kind::refused : Kind::adapt,
              detail};
    case 429:
      // OpenAI's way to say 402.
      return {says("insufficient_quota") ? Kind::end : Kind::again, detail};
    case 408:
    case 409:
    case 425:
      return {Kind::again, detail};
    default:
      return {reply.status >= 500 ? Kind::again : Kind::failed, detail};
  }
}

}  // namespace safesail
