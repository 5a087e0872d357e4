// One Generator for the requests of many threads: whoever has nothing to read makes the next pass,
// for all sequences that are open, and the others read what it made for them. Eight answers at once
// so cost little more time than one.
//
// Every function may be called from any thread; a Sequence is used by one thread at a time. The
// model must outlive all of it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "model/generator.h"

namespace safesail {

class SharedGenerator {
 public:
  /// At most `max_open` sequences at once; more wait until one of them ends. What their prompts
  /// have in common with earlier ones comes from `openings`, of the same model, which is used while
  /// this is held and must outlive it.
  SharedGenerator(const LanguageModel& model, PrefixCache& openings, std::size_t max_open);

  /// What a pass did for a sequence, as SequenceStep; the logits are there when asked for.
  struct Step {
    std::optional<std::int32_t> token;
    std::optional<SequenceEnd> end;
    std::vector<float> logits;  ///< [vocab]
    std::size_t n_known = 0;    ///< of the prompt, in the first step
    bool is_thought = false;
  };

  class Sequence {
   public:
    /// Closes it, whether it has ended or not.
    ~Sequence();
    Sequence(const Sequence&) = delete;
    Sequence& operator=(const Sequence&) = delete;

    /// The next step, of which the last has an `end`; not to be called after that. Throws what its
    /// constraint threw: then it is over; or what a pass threw: then all that were open are.
    Step next();

   private:
    friend class SharedGenerator;
    Sequence(SharedGenerator& generator, std::size_t name, bool wants_logits)
        : generator_(generator), name_(name), wants_logits_(wants_logits) {}
    SharedGenerator& generator_;
    const std::size_t name_;
    const bool wants_logits_;
    // Guarded by the generator's mutex:
    std::deque<Step> steps_;
    std::exception_ptr fault_;
  };

  /// Waits for a place while `is_wanted`, which is asked several times a second: an environment
  /// error once it is not. Errors of Generator::add, and too little memory for this sequence beside
  /// what the others may still take; the others go on.
  std::unique_ptr<Sequence> open(std::vector<std::int32_t> prompt, const SequenceConfig& config,
                                 bool wants_logits, const std::function<bool()>& is_wanted);

  /// While it is held no pass is made: for what reads the model in another way.
  std::unique_lock<std::mutex> hold();

 private:
  void make_pass();

  const LanguageModel& model_;
  PrefixCache& openings_;
  const std::size_t max_open_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::unique_ptr<Generator> generator_;
  std::map<std::size_t, Sequence*> open_;  // by name
  // Threads that wait for the mutex, but for those in next(): they go before the next pass, or a
  // thread that makes one after the other could keep them out.
  std::atomic<std::size_t> n_arriving_ = 0;
};

}  // namespace safesail
