// The answer of an endpoint, read from the body of its response. The bytes are hostile: size and
// depth are bounded, and whatever is not a chat completion is an input error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "interpret/price.h"
#include "interpret/simulator.h"

namespace safesail {

inline constexpr std::uint64_t kMaxAnswerBytes = std::uint64_t{8} << 20;

/// A token of the answer and what might have stood there, likeliest first.
struct AnswerToken {
  std::string text;
  std::vector<std::pair<std::string, float>> alternatives;  ///< text, log probability
};

struct ChatAnswer {
  std::string content;        ///< without the thinking
  std::string finish_reason;  ///< "stop", "length", "content_filter"...
  std::string refusal;        ///< the endpoint's own field
  std::string thinking;
  TokenUsage usage;
  bool usage_given = false;  ///< else it is estimated by who knows the request
  /// The tokens whose texts, end to end, are content; empty where no probabilities were given.
  std::vector<AnswerToken> tokens;
};

ChatAnswer parse_chat_answer(std::string_view body);

/// What the endpoint charges for an answer that may be unreadable otherwise; nothing where it does
/// not say.
std::optional<TokenUsage> stated_usage(std::string_view body);

/// ok, or refused: by the content filter, in the field made for it, with an empty answer that was
/// not cut short. Whether an ok answer makes sense is for others to say.
AnswerStatus status_of(const ChatAnswer& answer);

/// Prose that opens as refusals do ("I'm sorry, but I can't ..."): asked of answers that do not
/// parse. The list is in docs/explaining.md.
bool opens_as_refusal(std::string_view content);

/// The HTTP status that an error object in the body names ({"error": {"code": 402}}), as gateways
/// send it under 200; 0 where there is none.
int error_status(std::string_view body);

/// What the endpoint said was wrong, for people: message and code, cut at 300 bytes, printable.
std::string error_text(std::string_view body);

}  // namespace safesail
