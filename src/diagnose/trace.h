// A trace: a text, token by token, with the features that are active on each.
//
// Plain data; features are named by reference to the Subject, which must outlive it.
#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "diagnose/subject.h"
#include "model/generate.h"
#include "text/chat.h"

namespace safesail {

/// Which features a trace tells of; empty or unset: all that are known.
struct TraceOptions {
  std::vector<std::string> domains;  ///< of at least one of these
  std::vector<std::string> saes;     ///< by name
  double min_score = -1;             ///< of the explanation; unknown scores pass only at -1
  std::size_t top_n = 0;             ///< strongest of a token; 0: all
  bool unlisted = false;             ///< also features that nothing is known of
  /// The way of the published demo: special tokens are masked from attention and show nothing.
  bool mask_special = false;
};

/// An input error names an SAE that is not there.
void check_options(const TraceOptions& options, const Subject& subject);

/// A feature that a trace tells of.
struct TraceFeature {
  const KnownSae* sae = nullptr;
  std::int32_t index = 0;
  std::shared_ptr<const KnownFeature> known;  ///< null: nothing was known of it
};

struct TokenFeature {
  std::uint32_t feature = 0;     ///< its place in the trace's list of features
  float activation = 0;          ///< > 0
  double normalised = kUnknown;  ///< activation / the feature's 0.999 quantile
};

struct TraceToken {
  std::int32_t position = 0, id = 0;
  /// Bytes [start, end) of the trace's text. Blanks before a token belong to it; of the tokens that
  /// make up one character one has all of it, the others have none.
  std::uint32_t start = 0, end = 0;
  std::string role;          ///< of its message; "template" for what stands around
                             ///< messages, "text" without
  bool is_response = false;  ///< the model has just made it
  bool is_special = false;
  std::vector<TokenFeature> features;  ///< by falling normalised activation, unknown ones last
};

struct Trace {
  std::string text;
  std::vector<TraceFeature> features;  ///< by when they first occur
  std::vector<TraceToken> tokens;
};

/// A text that is to be traced: tokens without features.
struct TracePrompt {
  std::string text;  ///< as the model reads it: with the chat template around messages
  std::vector<TraceToken> tokens;
};

std::vector<std::int32_t> ids_of(const TracePrompt& prompt);

TracePrompt prompt_of_text(const Tokenizer& tokenizer, const std::string& text);
TracePrompt prompt_of_messages(const Tokenizer& tokenizer, const std::vector<ChatMessage>& messages,
                               bool add_generation_prompt, const Json& arguments = nullptr);

/// The next token of an answer, with the text that it completes (StreamDecoder); gives the token.
const TraceToken& append_response(TracePrompt& prompt, std::int32_t id, std::string_view text,
                                  const Tokenizer& tokenizer);
/// The prompt and the model's answer to it.
TracePrompt with_answer(const TextModel& model, TracePrompt prompt, const GenerateConfig& config,
                        std::stop_token stop);

/// One pass of the model over the prompt.
Trace trace(const Subject& subject, TracePrompt prompt, const TraceOptions& options);

}  // namespace safesail
