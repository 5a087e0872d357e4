#include "diagnose/chat.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "base/clock.h"

namespace safesail {
namespace {

/// Tokens that are encoded at a time: the encoders are read once for all of them, and a reader does
/// not notice the delay.
constexpr std::size_t kTokensAtOnce = 8;

}  // namespace

Chat::Chat(const Subject& subject, EngineRequest request, Give give)
    : subject_(subject),
      options_(request.options),
      config_(std::move(request.generation)),
      give_(std::move(give)),
      reader_(subject, request.options),
      decoder_(subject.model.tokenizer),
      text_(std::move(request.prompt)),
      n_prompt_(text_.tokens.size()),
      waiting_(sites_of(subject).size()) {}

Chat::~Chat() = default;

std::vector<std::int32_t> Chat::prompt_ids() const {
  return ids_of(text_);
}

SequenceConfig Chat::sequence() const {
  SequenceConfig config = config_;
  ++config.max_new_tokens;
  return config;
}

bool Chat::take(const SequenceStep& step, const std::vector<at::Tensor>& sites) {
  const c10::InferenceMode inference;
  std::vector<at::Tensor> rows;
  for (const at::Tensor& site : sites)
    rows.push_back(site.narrow(0, static_cast<std::int64_t>(step.first_row),
                               static_cast<std::int64_t>(step.n_rows)));
  if (n_read_ == 0) {
    start(std::move(rows));
  } else {
    for (std::size_t s = 0; s < rows.size(); ++s) waiting_[s].push_back(std::move(rows[s]));
    if (waiting_.front().size() >= kTokensAtOnce) flush();
  }
  const auto n_new = static_cast<std::int64_t>(text_.tokens.size() - n_prompt_);
  const bool is_over = !step.token || n_new == config_.max_new_tokens || step.end;
  if (is_over) {
    end(step.token ? SequenceEnd::length : SequenceEnd::stop_token);
    return false;
  }
  std::string piece = decoder_.add(*step.token);
  const TraceToken& token = append_response(text_, *step.token, piece, subject_.model.tokenizer);
  give_(NewToken{token, std::move(piece)});
  return true;
}

void Chat::start(std::vector<at::Tensor> rows) {
  n_read_ = n_prompt_;
  Started started{{text_.text, {}, text_.tokens}};
  if (!options_.mask_special) {
    auto features = reader_.read(rows);
    for (std::size_t t = 0; t < n_prompt_; ++t)
      started.trace.tokens[t].features = std::move(features[t]);
    started.trace.features = reader_.features();
    n_given_ = started.trace.features.size();
  }
  give_(std::move(started));
}

void Chat::flush() {
  if (waiting_.front().empty() || options_.mask_special) return;
  std::vector<at::Tensor> rows;
  for (std::vector<at::Tensor>& site : waiting_) {
    rows.push_back(at::cat(site));
    site.clear();
  }
  NewFeatures event;
  for (std::vector<TokenFeature>& features : reader_.read(rows))
    event.tokens.emplace_back(static_cast<std::int32_t>(n_read_++), std::move(features));
  const std::vector<TraceFeature>& list = reader_.features();
  event.added.assign(list.begin() + static_cast<std::ptrdiff_t>(n_given_), list.end());
  n_given_ = list.size();
  give_(std::move(event));
}

void Chat::end(SequenceEnd how) {
  const std::size_t n_new = text_.tokens.size() - n_prompt_;
  flush();
  if (options_.mask_special) {
    Trace whole = trace(subject_, std::move(text_), options_);
    NewFeatures event;
    event.added = std::move(whole.features);
    for (TraceToken& token : whole.tokens)
      event.tokens.emplace_back(token.position, std::move(token.features));
    give_(std::move(event));
  }
  give_(Ended{how, n_prompt_, n_new, seconds_since(begin_)});
}

}  // namespace safesail
