#include "model/shared_generator.h"

#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/memory.h"

namespace safesail {
namespace {

constexpr std::chrono::milliseconds kBetweenLooks{200};

}  // namespace

SharedGenerator::SharedGenerator(const LanguageModel& model, PrefixCache& openings,
                                 std::size_t max_open)
    : model_(model),
      openings_(openings),
      max_open_(max_open),
      generator_(std::make_unique<Generator>(model, openings)) {}

std::unique_lock<std::mutex> SharedGenerator::hold() {
  ++n_arriving_;
  std::unique_lock lock(mutex_);
  --n_arriving_;
  changed_.notify_all();
  return lock;
}

std::unique_ptr<SharedGenerator::Sequence> SharedGenerator::open(
    std::vector<std::int32_t> prompt, const SequenceConfig& config, bool wants_logits,
    const std::function<bool()>& is_wanted) {
  std::unique_lock lock = hold();
  while (!changed_.wait_for(lock, kBetweenLooks, [&] { return open_.size() < max_open_; })) {
    if (!is_wanted()) failed("generator", "nobody waits for the answer any more", "ask again");
  }
  const std::size_t name = generator_->add(std::move(prompt), config);
  try {
    if (model_.options().device == "cpu") {
      const std::uint64_t bytes = generator_->bytes_to_come();
      openings_.leave(bytes);
      require_memory(bytes, "the answers under way",
                     "ask for a shorter answer, or fewer at a time");
    }
    std::unique_ptr<Sequence> sequence(new Sequence(*this, name, wants_logits));
    open_.emplace(name, sequence.get());
    return sequence;
  } catch (...) {
    generator_->remove(name);
    throw;
  }
}

SharedGenerator::Sequence::~Sequence() {
  const std::unique_lock lock = generator_.hold();
  const auto found = generator_.open_.find(name_);
  if (found == generator_.open_.end() || found->second != this) return;
  generator_.generator_->remove(name_);
  generator_.open_.erase(found);
  generator_.changed_.notify_all();
}

SharedGenerator::Step SharedGenerator::Sequence::next() {
  std::unique_lock lock(generator_.mutex_);
  const auto has_news = [&] { return !steps_.empty() || fault_; };
  while (!has_news()) {
    generator_.changed_.wait(lock, [&] { return has_news() || generator_.n_arriving_ == 0; });
    if (!has_news()) generator_.make_pass();
  }
  if (steps_.empty()) std::rethrow_exception(fault_);
  Step step = std::move(steps_.front());
  steps_.pop_front();
  return step;
}

void SharedGenerator::make_pass() {
  try {
    for (const SequenceStep& one : generator_->step().sequences) {
      Sequence& sequence = *open_.at(one.sequence);
      if (one.fault) {
        sequence.fault_ = one.fault;
        continue;
      }
      Step& step =
          sequence.steps_.emplace_back(Step{one.token, one.end, {}, one.n_known, one.is_thought});
      if (sequence.wants_logits_) step.logits.assign(one.logits.begin(), one.logits.end());
    }
  } catch (...) {
    for (const auto& [name, sequence] : open_) sequence->fault_ = std::current_exception();
    open_.clear();
    generator_ = std::make_unique<Generator>(model_, openings_);
  }
  changed_.notify_all();
}

}  // namespace safesail
