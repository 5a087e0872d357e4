#include "model/generator.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <fmt/format.h>

#include "base/error.h"
#include "model/decoder.h"

namespace safesail {
namespace {

/// Beyond any memory; its bytes can still be counted.
constexpr std::int64_t kMostNewTokens = std::int64_t{1} << 40;

bool contains(const std::vector<std::int32_t>& ids, std::int32_t id) {
  return std::ranges::find(ids, id) != ids.end();
}

}  // namespace

Generator::Generator(const LanguageModel& model, std::vector<Site> read,
                     std::vector<SiteEdit> edits)
    : model_(model), read_(std::move(read)), edits_(std::move(edits)), cache_(model) {}

Generator::~Generator() = default;

std::size_t Generator::add(std::vector<std::int32_t> prompt, SequenceConfig config) {
  check_sampling(config.sampling);
  const std::string where = fmt::format("prompt {}", n_named_);
  if (prompt.empty())
    bad_input(where, "expected at least one token, got none",
              "begin the prompt with the model's BOS token or some text");
  const ModelSpec& spec = model_.spec();
  check_sequence(spec, prompt, 0, where);
  if (config.max_new_tokens < 1 || config.max_new_tokens > kMostNewTokens)
    bad_input("max_new_tokens",
              fmt::format("expected 1 to {}, got {}", kMostNewTokens, config.max_new_tokens),
              "ask for a token, or read the prompt without generating");
  const Sampler sampler(config.sampling, config.stream);
  const auto n_prompt = static_cast<std::int64_t>(prompt.size());
  std::int64_t longest = n_prompt + config.max_new_tokens;
  if (spec.learned_positions) longest = std::min(longest, spec.max_positions);
  open_.push_back({n_named_, std::move(config), sampler, std::move(prompt), longest, n_prompt});
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
  if (++open.n_tokens >= open.longest) step.end = SequenceEnd::length;
}

std::uint64_t Generator::bytes_to_come() const {
  std::int64_t cached = 0, n_new = 0;
  for (std::int64_t s = 0; s < cache_.n_sequences(); ++s) cached += cache_.length(s);
  std::int64_t longest = 0;
  for (const Open& open : open_) {
    longest += open.longest;
    if (!open.is_cached) n_new += open.n_tokens;
  }
  return static_cast<std::uint64_t>(longest - cached) * KvCache::bytes_per_token(model_) +
         model_.forward_bytes(n_new, read_.size(), false);
}

const GeneratorStep& Generator::step() {
  step_ = {};
  if (open_.empty()) return step_;
  std::vector<std::int32_t> ids, starts{0};
  for (Open& open : open_) {
    ids.insert(ids.end(), open.next.begin(), open.next.end());
    starts.push_back(static_cast<std::int32_t>(ids.size()));
    if (!open.is_cached) cache_.add(1, open.longest);
    open.is_cached = true;
  }

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
