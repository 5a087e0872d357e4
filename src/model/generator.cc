#include "model/generator.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <fmt/format.h>
#include <utility>

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

Generator::Generator(const LanguageModel& model, PrefixCache& openings)
    : model_(model), openings_(&openings), cache_(model) {}

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

bool Generator::is_end(const Open& open, std::int32_t token) const {
  return contains(open.config.stop_tokens, token) ||
         (open.config.stop_at_eos && contains(model_.spec().eos, token));
}

/// What is written where the model would write `next`.
std::int32_t Generator::think(Open& open, std::int32_t next, SequenceStep& step) const {
  const ThinkingConfig& thinking = *open.config.thinking;
  if (!open.begin) {
    open.begin = Clock::now();
    open.thinks = thinking.is_open || next == thinking.open;
    if (!thinking.is_open && open.thinks) {  // the tag takes none of the room
      step.is_thought = true;
      return next;
    }
  }
  if (!open.thinks) return next;
  const bool is_full =
      open.n_thought >= thinking.max_tokens ||
      (thinking.max_seconds > 0 && seconds_since(*open.begin) >= thinking.max_seconds);
  if (is_full || is_end(open, next)) next = thinking.close;
  open.thinks = next != thinking.close;
  open.n_thought += open.thinks;
  step.is_thought = true;
  return next;
}

void Generator::choose(Open& open, SequenceStep& step) const {
  Constraint* const constraint = open.config.constraint.get();
  const auto draw = [&](std::span<const std::uint32_t> allowed) {
    return open.sampler.next(step.logits, allowed);
  };
  std::int32_t next = 0;
  const bool may_think = open.config.thinking && (open.thinks || !open.begin);
  if (may_think) next = think(open, draw({}), step);
  // The constraint holds the answer, not the thinking before it.
  if (!step.is_thought && (constraint != nullptr || !may_think))
    next = draw(constraint ? constraint->allowed() : std::span<const std::uint32_t>());
  if (is_end(open, next)) {
    step.end = SequenceEnd::stop_token;
    return;
  }
  step.token = next;
  open.next.assign(1, next);
  if (++open.n_tokens >= open.longest) step.end = SequenceEnd::length;
  if (constraint == nullptr || step.is_thought) return;
  constraint->take(next);
  if (constraint->is_over()) step.end = SequenceEnd::stop_token;
}

std::uint64_t Generator::bytes_to_come() const {
  std::int64_t cached = 0, n_new = 0;
  for (std::int64_t s = 0; s < cache_.n_sequences(); ++s) cached += cache_.length(s);
  std::int64_t longest = 0;
  for (const Open& open : open_) {
    longest += open.longest;
    if (!open.is_cached) n_new += open.n_tokens;
  }
  if (openings_ != nullptr)  // which are read a piece at a time
    n_new = std::min<std::int64_t>(n_new, PrefixCache::kPiece);
  return static_cast<std::uint64_t>(longest - cached) * KvCache::bytes_per_token(model_) +
         model_.forward_bytes(n_new, read_.size(), false);
}

void Generator::pass(std::size_t first, std::size_t n, KvCache& cache) {
  std::vector<std::int32_t> ids, starts{0};
  for (std::size_t i = first; i < first + n; ++i) {
    ids.insert(ids.end(), open_[i].next.begin(), open_[i].next.end());
    starts.push_back(static_cast<std::int32_t>(ids.size()));
  }
  ForwardResult result = model_.forward({.ids = ids,
                                         .starts = starts,
                                         .read = read_,
                                         .edits = edits_,
                                         .logits = ForwardRequest::Logits::last_of_each,
                                         .cache = &cache});
  step_.sites = std::move(result.sites);
  const at::Tensor& logits =
      logits_.emplace_back(result.logits->to(at::kCPU, at::kFloat).contiguous());
  const auto vocab = static_cast<std::size_t>(logits.size(1));
  for (std::size_t i = 0; i < n; ++i) {
    Open& open = open_[first + i];
    SequenceStep one;
    one.sequence = open.name;
    one.first_row = static_cast<std::size_t>(starts[i]);
    one.n_rows = static_cast<std::size_t>(starts[i + 1]) - one.first_row;
    one.n_known = std::exchange(open.n_known, 0);
    one.logits = std::span(logits.const_data_ptr<float>() + i * vocab, vocab);
    try {
      choose(open, one);
    } catch (const Error&) {
      // Of this sequence's constraint: the others go on.
      one.fault = std::current_exception();
      one.end = SequenceEnd::fault;
    }
    step_.sequences.push_back(one);
  }
}

/// A sequence whose prompt goes by its opening: in a pass of its own, so that its bits are those
/// that they always are.
void Generator::begin(std::size_t index) {
  Open& open = open_[index];
  KvCache alone(model_, 1, open.longest);
  const PrefixCache::Opening opening = openings_->open(open.next, open.config.seams, alone);
  open.next.erase(open.next.begin(),
                  open.next.begin() + static_cast<std::ptrdiff_t>(opening.n_tokens));
  open.n_known = opening.n_known;
  pass(index, 1, alone);
  cache_.take(std::move(alone));
  open.is_cached = true;
}

const GeneratorStep& Generator::step() {
  step_ = {};
  logits_.clear();
  if (open_.empty()) return step_;
  const auto n_cached = static_cast<std::size_t>(cache_.n_sequences());
  if (openings_ == nullptr) {
    for (std::size_t i = n_cached; i < open_.size(); ++i) cache_.add(1, open_[i].longest);
    for (Open& open : open_) open.is_cached = true;
    pass(0, open_.size(), cache_);
  } else {
    // One prompt, and then it is the turn of those that are being answered.
    if (n_cached > 0) pass(0, n_cached, cache_);
    if (n_cached < open_.size()) begin(n_cached);
  }

  std::vector<bool> over;
  for (const SequenceStep& one : step_.sequences) over.push_back(one.end.has_value());
  over.resize(open_.size());  // those that are still to begin
  if (std::ranges::find(over, true) != over.end()) forget(over);
  return step_;
}

}  // namespace safesail
