#include "model/generator.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <fmt/format.h>

#include "base/error.h"

namespace safesail {
namespace {

bool contains(const std::vector<std::int32_t>& ids, std::int32_t id) {
  return std::ranges::find(ids, id) != ids.end();
}

/// Tokens that a sequence may take.
std::int64_t room_after(const ModelSpec& spec, std::size_t prompt_length, std::int64_t wanted) {
  if (!spec.learned_positions) return wanted;
  return std::min(wanted, spec.max_positions - static_cast<std::int64_t>(prompt_length));
}

}  // namespace

Generator::Generator(const LanguageModel& model, std::vector<Site> read,
                     std::vector<SiteEdit> edits)
    : model_(model), read_(std::move(read)), edits_(std::move(edits)), cache_(model) {}

Generator::~Generator() = default;

std::size_t Generator::add(std::vector<std::int32_t> prompt, SequenceConfig config) {
  check_sampling(config.sampling);
  if (prompt.empty())
    bad_input(fmt::format("prompt {}", n_named_), "expected at least one token, got none",
              "begin the prompt with the model's BOS token or some text");
  if (config.max_new_tokens < 1)
    bad_input("max_new_tokens", fmt::format("expected at least 1, got {}", config.max_new_tokens),
              "ask for a token, or read the prompt without generating");
  const Sampler sampler(config.sampling, config.stream);
  const std::size_t n_prompt = prompt.size();
  open_.push_back({n_named_, std::move(config), sampler, std::move(prompt), n_prompt});
  return n_named_++;
}

void Generator::remove(std::size_t sequence) {
  std::vector<bool> over;
  for (const Open& open : open_) over.push_back(open.name == sequence);
  forget(over);
}

void Generator::forget(const std::vector<bool>& over) {
  std::vector<std::int64_t> kept;
  std::vector<Open> still_open;
  for (std::size_t i = 0; i < open_.size(); ++i) {
    if (over[i]) continue;
    if (open_[i].is_cached) kept.push_back(static_cast<std::int64_t>(i));
    still_open.push_back(std::move(open_[i]));
  }
  if (static_cast<std::int64_t>(kept.size()) < cache_.n_sequences()) cache_.keep(kept);
  open_ = std::move(still_open);
}

void Generator::choose(Open& open, SequenceStep& step) const {
  const std::int32_t next = open.sampler.next(step.logits);
  if (contains(open.config.stop_tokens, next) ||
      (open.config.stop_at_eos && contains(model_.spec().eos, next))) {
    step.end = SequenceEnd::stop_token;
    return;
  }
  step.token = next;
  open.next.assign(1, next);
  ++open.n_new;
  if (static_cast<std::int64_t>(open.n_new) >=
      room_after(model_.spec(), open.n_prompt, open.config.max_new_tokens))
    step.end = SequenceEnd::length;
}

const GeneratorStep& Generator::step() {
  step_ = {};
  if (open_.empty()) return step_;
  std::vector<std::int32_t> ids, starts{0};
  std::int64_t n_new = 0, capacity = 0;
  for (Open& open : open_) {
    ids.insert(ids.end(), open.next.begin(), open.next.end());
    starts.push_back(static_cast<std::int32_t>(ids.size()));
    n_new += open.is_cached ? 0 : 1;
    capacity =
        std::max(capacity, static_cast<std::int64_t>(open.n_prompt) + open.config.max_new_tokens);
    open.is_cached = true;
  }
  if (n_new > 0) cache_.add(n_new, capacity);

  ForwardResult pass = model_.forward({.ids = ids,
                                       .starts = starts,
                                       .read = read_,
                                       .edits = edits_,
                                       .logits = ForwardRequest::Logits::last_of_each,
                                       .cache = &cache_});
  const at::Tensor logits = pass.logits->to(at::kCPU, at::kFloat).contiguous();
  const auto vocab = static_cast<std::size_t>(logits.size(1));
  const float* scores = logits.const_data_ptr<float>();
  logits_.assign(scores, scores + static_cast<std::size_t>(logits.numel()));
  step_.sites = std::move(pass.sites);

  std::vector<bool> over;
  for (std::size_t i = 0; i < open_.size(); ++i) {
    const auto first = static_cast<std::size_t>(starts[i]);
    SequenceStep one;
    one.sequence = open_[i].name;
    one.first_row = first;
    one.n_rows = static_cast<std::size_t>(starts[i + 1]) - first;
    one.logits = std::span(logits_).subspan(i * vocab, vocab);
    choose(open_[i], one);
    over.push_back(one.end.has_value());
    step_.sequences.push_back(one);
  }
  if (std::ranges::find(over, true) != over.end()) forget(over);
  return step_;
}

}  // namespace safesail
