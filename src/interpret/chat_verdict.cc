#include "interpret/chat_verdict.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fmt/format.h>

#include "formats/json.h"
#include "interpret/chat_answer.h"

namespace safesail {
namespace {

/// This prompt does not fit the model, whatever fields stand beside it: OpenAI and vLLM, llama.cpp,
/// Anthropic, Mistral, Gemini.
bool is_too_long(std::string said) {
  std::ranges::transform(said, said.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  static constexpr std::array<std::string_view, 8> kSigns = {
      "context_length", "context length",  "context size",      "context window",
      "too long",       "too many tokens", "input token count", "string_above_max_length"};
  return std::ranges::any_of(kSigns,
                             [&](std::string_view sign) { return said.find(sign) != said.npos; });
}

/// An address for people: without what may be secret in it.
std::string shown_address(std::string url) {
  url.resize(std::min(url.size(), url.find_first_of("?#")));
  if (const auto scheme = url.find("://"), at = url.find('@');
      scheme != url.npos && at != url.npos && at < url.find('/', scheme + 3))
    url.erase(scheme + 3, at - scheme - 2);
  constexpr std::string_view kPath = "/chat/completions";
  if (url.ends_with(kPath)) url.resize(url.size() - kPath.size());
  return printable(url);
}

}  // namespace

ChatVerdict judge(const HttpReply& reply) {
  using Kind = ChatVerdict::Kind;
  using Complaint = ChatVerdict::Complaint;
  switch (reply.transport) {
    case HttpReply::Transport::ok:
      break;
    case HttpReply::Transport::broken:
      return {.kind = Kind::again, .detail = reply.problem};
    case HttpReply::Transport::unusable:
      return {.kind = Kind::failed, .detail = reply.problem};
    case HttpReply::Transport::stopped:
      return {.kind = Kind::end,
              .detail = "stopped",
              .remedy = "run the same command again to go on: what was answered is kept"};
  }
  if (reply.status == 200) return {.kind = Kind::answer};
  if (!reply.moved_to.empty())
    return {
        .kind = Kind::end,
        .detail = fmt::format("HTTP {}: the endpoint is at {}", reply.status,
                              shown_address(reply.moved_to)),
        .remedy = "give that address as --endpoint, if it is to be trusted with key and prompts"};

  const std::string said = error_text(reply.body);
  const std::string detail = fmt::format("HTTP {}: {}", reply.status, said);
  const auto says = [&](std::string_view word) { return said.find(word) != said.npos; };
  const ChatVerdict end{.kind = Kind::end,
                        .detail = detail,
                        .complaint = reply.status == 403 ? Complaint::if_named : Complaint::none,
                        .remedy = reply.status == 404
                                      ? "check --endpoint (it often ends in /v1) and --llm"
                                      : "check the key, what it may do, and the account's credit"};
  switch (reply.status) {
    case 401:
    case 402:
    case 403:
    case 404:
    case 405:
      return end;
    case 400:
    case 422:
      // Azure and others answer so where their filter stopped the prompt.
      if (says("content_filter") || says("content_policy"))
        return {.kind = Kind::refused, .detail = detail};
      return {.kind = Kind::failed,
              .detail = detail,
              .complaint = is_too_long(said) ? Complaint::none : Complaint::likely,
              .too_long = is_too_long(said)};
    case 429:
      // OpenAI's way to say 402.
      return says("insufficient_quota") ? end : ChatVerdict{.kind = Kind::again, .detail = detail};
    case 408:
    case 409:
    case 425:
      return {.kind = Kind::again, .detail = detail};
    case 500:
    case 501:
      // llama.cpp's way to say that the template takes no system role.
      return {.kind = Kind::again, .detail = detail, .complaint = Complaint::if_named};
    default:
      return {.kind = reply.status >= 500 ? Kind::again : Kind::failed, .detail = detail};
  }
}

}  // namespace safesail
