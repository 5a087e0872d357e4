// The bytes as the body of an endpoint's response, and as the text of an answer: what is read as ok
// has as many values as were asked for, all in range.
#include <array>

#include "fuzz_target.h"
#include "interpret/chat_answer.h"
#include "interpret/json_in_text.h"
#include "interpret/llm_values.h"

namespace safesail {
namespace {

void read(const ChatAnswer& answer) {
  static constexpr std::array<std::size_t, 3> kUnits = {1, 2, 3};
  for (const int max_value : {1, 10}) {
    const std::vector<Answer> answers = read_values(answer, kUnits, max_value);
    SAFESAIL_CHECK(answers.size() == kUnits.size());
    for (std::size_t i = 0; i < answers.size(); ++i) {
      const bool ok = answers[i].status == AnswerStatus::ok;
      SAFESAIL_CHECK(answers[i].values.size() == (ok ? kUnits[i] : 0));
      for (const float value : answers[i].values)
        SAFESAIL_CHECK(value >= 0 && value <= static_cast<float>(max_value));
    }
  }
  for (const std::string_view object : json_objects_in(answer.content))
    SAFESAIL_CHECK(object.front() == '{' && object.back() == '}');
  json_object_with(answer.content, {"scores"});
  status_of(answer);
}

}  // namespace
}  // namespace safesail

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace safesail;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  return fuzz_one(data, size, [&](std::span<const std::byte>) {
    ChatAnswer plain;
    plain.content = text;
    read(plain);
    SAFESAIL_CHECK(error_text(text).size() <= 6 * 300);
    const ChatAnswer answer = parse_chat_answer(text);
    std::string tokens;
    for (const AnswerToken& token : answer.tokens) tokens += token.text;
    SAFESAIL_CHECK(tokens.empty() || tokens == answer.content);
    SAFESAIL_CHECK(answer.usage.cached <= answer.usage.prompt);
    SAFESAIL_CHECK(answer.usage.reasoning <= answer.usage.completion);
    read(answer);
  });
}
