// What visitors may ask of the model: the bodies of POST /trace, /chat and /compare.
//
// Pure functions. An input error names the field that is wrong, missing or unknown.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "diagnose/engine.h"
#include "text/chat.h"

namespace safesail {

/// A text as it is, or messages for the chat template.
struct AskedMessages {
  std::vector<ChatMessage> messages;
  bool add_generation_prompt = false;
  Json template_arguments;  ///< null, or an object; see render_chat
};
using AskedPrompt = std::variant<std::string, AskedMessages>;

struct AskedTrace {
  AskedPrompt prompt;
  TraceOptions options;
};
AskedTrace parse_trace_request(std::string_view body);

struct AskedChat {
  AskedMessages prompt;
  TraceOptions options;
  SequenceConfig generation;
};
AskedChat parse_chat_request(std::string_view body);

struct AskedComparison {
  struct Prompt {
    std::string label;
    AskedPrompt prompt;
  };
  std::vector<Prompt> prompts;  ///< 2 to 8
  TraceOptions options;
  SequenceConfig generation;  ///< max_new_tokens 0: no answers
};
AskedComparison parse_compare_request(std::string_view body);

}  // namespace safesail
