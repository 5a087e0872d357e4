#include "serve/completion.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <numeric>
#include <span>

#include "formats/field_error.h"
#include "serve/prompt_seams.h"
#include "text/chat.h"
#include "text/stream_decoder.h"
#include "text/token_bytes.h"

namespace safesail {
namespace {

/// Around thinking, as all models write it that we know.
constexpr std::string_view kOpen = "<think>", kClose = "</think>";

/// Holds back the pieces that may be the beginning of a stop text, and drops those from where one
/// stands.
class StopFilter {
 public:
  StopFilter(const std::vector<std::string>& stops,
             const std::function<bool(const CompletionPiece&)>& give)
      : stops_(stops), give_(give) {}

  /// False when the answer ends here.
  bool add(CompletionPiece piece) {
    text_ += piece.text;
    held_.push_back(std::move(piece));
    std::size_t end = text_.npos;
    for (const std::string& stop : stops_) end = std::min(end, text_.find(stop));
    if (end != text_.npos) {
      stopped_ = true;
      release(end);
      return false;
    }
    return release(text_.size() - beginning_of_a_stop());
  }

  /// Gives what is held back when the answer ends by itself.
  void finish() {
    if (!stopped_) release(text_.size());
  }

 private:
  /// Bytes at the end that may grow into a stop.
  std::size_t beginning_of_a_stop() const {
    std::size_t longest = 0;
    for (const std::string& stop : stops_)
      for (std::size_t n = std::min(stop.size() - 1, text_.size()); n > longest; --n)
        if (text_.ends_with(std::string_view(stop).substr(0, n))) longest = n;
    return longest;
  }

  /// Gives the pieces that lie within the first `n` bytes; the last of all is cut there.
  bool release(std::size_t n) {
    std::size_t given = 0, count = 0;
    bool go_on = true;
    for (; count < held_.size() && go_on; ++count) {
      CompletionPiece& piece = held_[count];
      // The tokens of a character that is left out have no text but its last one.
      if (stopped_ && given == n) break;
      if (given + piece.text.size() > n) {
        if (!stopped_) break;
        piece.text.resize(n - given);
        piece.bytes = piece.text;
      }
      given += piece.text.size();
      go_on = give_(piece);
    }
    held_.erase(held_.begin(),
                held_.begin() + static_cast<std::ptrdiff_t>(std::min(count, held_.size())));
    text_.erase(0, given);
    return go_on;
  }

  const std::vector<std::string>& stops_;
  const std::function<bool(const CompletionPiece&)>& give_;
  std::vector<CompletionPiece> held_;
  std::string text_;  // of held_
  bool stopped_ = false;
};

/// Log probabilities under the model itself, whatever the sampling.
class Probabilities {
 public:
  Probabilities(const Tokenizer& tokenizer, int n_alternatives)
      : tokenizer_(tokenizer), n_(static_cast<std::size_t>(n_alternatives)) {}

  void see(std::span<const float> logits) {
    logits_ = logits;
    const float highest = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - highest);
    log_sum_ = highest + static_cast<float>(std::log(sum));
  }

  /// `decoder` stands before the token.
  void fill(CompletionPiece& piece, std::int32_t id, const StreamDecoder& decoder) const {
    piece.logprob = logits_[static_cast<std::size_t>(id)] - log_sum_;
    piece.bytes = tokenizer_.is_special(id) ? std::string() : bytes_of(id, decoder);
    std::vector<std::int32_t> ids(logits_.size());
    std::iota(ids.begin(), ids.end(), 0);
    const auto n = static_cast<std::ptrdiff_t>(std::min(n_, ids.size()));
    std::partial_sort(ids.begin(), ids.begin() + n, ids.end(), [&](std::int32_t a, std::int32_t b) {
      const float x = logits_[static_cast<std::size_t>(a)],
                  y = logits_[static_cast<std::size_t>(b)];
      return x != y ? x > y : a < b;
    });
    ids.resize(static_cast<std::size_t>(n));
    for (const std::int32_t other : ids) {
      // Rows beyond the vocabulary are padding of the embedding.
      if (other >= tokenizer_.vocab_size()) continue;
      piece.alternatives.push_back(
          {bytes_of(other, decoder), logits_[static_cast<std::size_t>(other)] - log_sum_});
    }
  }

 private:
  std::string bytes_of(std::int32_t id, const StreamDecoder& decoder) const {
    std::string bytes = token_bytes(tokenizer_, id);
    // Some tokenizers leave out the blank before an answer's first word.
    if (bytes.starts_with(' ') && StreamDecoder(decoder).add(id) == bytes.substr(1))
      bytes.erase(0, 1);
    return bytes;
  }

  const Tokenizer& tokenizer_;
  std::size_t n_;
  std::span<const float> logits_;
  float log_sum_ = 0;
};

/// Nothing for a model that has no tokens for it. Where the template opens it, the form of an
/// answer has to wait until it is over, however long that is.
std::optional<ThinkingConfig> thinking_of(const Tokenizer& tokenizer,
                                          const CompletionRequest& request,
                                          const CompletionPrompt& prompt) {
  const auto open = tokenizer.id_of(kOpen), close = tokenizer.id_of(kClose);
  if (!open || !close) return std::nullopt;
  const bool must_wait = request.constraint && prompt.opens_thinking;
  if (!request.thinking && !must_wait) return std::nullopt;
  const ThinkingRoom room = request.thinking.value_or(ThinkingRoom{request.max_tokens});
  return ThinkingConfig{.open = *open,
                        .close = *close,
                        .is_open = prompt.opens_thinking,
                        .max_tokens = room.tokens,
                        .max_seconds = room.seconds};
}

}  // namespace

Refusal too_long(std::string_view problem) {
  Refusal refusal(400, kTooLong, fmt::format("'messages': {}", problem), "shorten the messages");
  refusal.field = "messages";
  return refusal;
}

std::string prompt_text(const Tokenizer& tokenizer, const CompletionRequest& request) {
  return at_field("messages", [&] {
    return render_chat(tokenizer, request.messages, true, request.template_arguments);
  });
}

CompletionPrompt completion_prompt(const TextModel& model, const CompletionRequest& request) {
  const Tokenizer& tokenizer = model.tokenizer;
  const std::string text = prompt_text(tokenizer, request);
  Encoding encoding = tokenizer.encode(text, false);
  const std::int64_t longest = model.model.spec().longest_text();
  if (std::ssize(encoding.ids) >= longest)
    throw too_long(
        fmt::format("expected fewer than {} tokens, got {}", longest, encoding.ids.size()));
  std::vector<std::size_t> seams = prompt_seams(text, encoding, request.messages);
  const std::size_t last = text.find_last_not_of(" \n");
  return {std::move(encoding.ids), std::move(seams),
          last != text.npos && std::string_view(text).substr(0, last + 1).ends_with(kOpen)};
}

CompletionEnd complete(const TextModel& model, SharedGenerator& generator,
                       const CompletionRequest& request, CompletionStart start,
                       const std::function<bool(const CompletionPiece&)>& give,
                       const std::function<bool()>& is_wanted) {
  const Tokenizer& tokenizer = model.tokenizer;
  CompletionPrompt& prompt = start.prompt;
  CompletionEnd end{.n_prompt = prompt.ids.size()};
  const std::int64_t room = model.model.spec().longest_text() - std::ssize(prompt.ids);
  StreamDecoder decoder(tokenizer);
  StopFilter filter(request.stop, give);
  Probabilities probabilities(tokenizer, request.n_alternatives.value_or(0));
  const std::optional<ThinkingConfig> thinking = thinking_of(tokenizer, request, prompt);
  // So that the answer alone tells what in it is thinking.
  if (thinking && thinking->is_open && !filter.add({.text = std::string(kOpen)})) return end;
  const auto sequence = generator.open(std::move(prompt.ids),
                                       {.max_new_tokens = std::min(room, request.max_tokens),
                                        .sampling = request.sampling,
                                        .thinking = thinking,
                                        .seams = std::move(prompt.seams),
                                        .constraint = std::move(start.constraint)},
                                       request.n_alternatives.has_value(), is_wanted);
  std::optional<SequenceEnd> over;
  while (!over) {
    const SharedGenerator::Step step = sequence->next();
    over = step.end;
    end.n_known += step.n_known;
    if (step.token) {
      ++end.n_new;
      end.n_thought += step.is_thought;
      CompletionPiece piece;
      if (request.n_alternatives) {
        probabilities.see(step.logits);
        probabilities.fill(piece, *step.token, decoder);
      }
      piece.text = decoder.add(*step.token);
      // Where the tag is a special token, it has no text of its own.
      if (step.is_thought && *step.token == thinking->close && !piece.text.ends_with(kClose))
        piece.text += kClose;
      if (!filter.add(std::move(piece)) || !is_wanted()) return end;
    }
  }
  CompletionPiece rest;
  rest.text = decoder.finish();
  if (!rest.text.empty()) filter.add(std::move(rest));
  filter.finish();
  end.cut_short = over == SequenceEnd::length;
  return end;
}

}  // namespace safesail
