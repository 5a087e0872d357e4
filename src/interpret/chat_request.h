// One question to an endpoint, and how it is written as the body of POST /chat/completions in the
// dialect that the endpoint speaks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "interpret/endpoint.h"
#include "text/chat.h"

namespace safesail {

struct ChatRequest {
  std::string purpose, feature;  ///< for the ledger; not sent
  std::vector<ChatMessage> messages;
  std::string schema;         ///< JSON schema of the answer; empty: free text
  int max_tokens = 1024;      ///< of the answer, thinking not counted
  int expected_tokens = 200;  ///< for the estimate
  /// The answer with "_" where each digit of 0..form_max goes, for endpoints with answer_forms;
  /// else empty.
  std::string form;
  int form_max = 1;      ///< 1..9
  int top_logprobs = 0;  ///< alternatives a token, 0..20; 0: none
};

/// What an endpoint accepts; learnt from the requests it refuses.
struct ChatDialect {
  /// How much of an answer's schema: all of it, no bounds (plain_schema), or none.
  enum class Schema { exact, plain, none };
  Schema schema = Schema::exact;
  bool logprobs = true, seed = true, temperature = true, system_role = true;
  bool max_completion_tokens = false;  ///< what newer models call max_tokens

  bool operator==(const ChatDialect&) const = default;
};

std::string chat_body(const ChatRequest& request, const EndpointSettings& settings,
                      const ChatDialect& dialect);

/// Names the question: endpoint and all that decides the answer; the same in every dialect.
std::string request_hash(const ChatRequest& request, const EndpointSettings& settings);

/// The dialect after `complaint` about `request`: the field that it names is left out. Unchanged
/// where it names none that was sent. `model` is the endpoint's name of it, which may be that of a
/// field.
ChatDialect adapt(const ChatDialect& dialect, const ChatRequest& request,
                  std::string_view complaint, std::string_view model = {});

}  // namespace safesail
