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
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <vector>

#include "model/generator.h"

namespace safesail {

class SharedGenerator {
 public:
  /// At most `max_open` sequences at once; more wait until one of them ends.
  SharedGenerator(const LanguageModel& model, std::size_t max_open);

  /// What a pass did for a sequence, as SequenceStep; the logits are there when asked for.
  struct Step {
    std::optional<std::int32_t> token;
    std::optional<SequenceEnd> end;
    std::vector<float> logits;  ///< [vocab]
  };

  class Sequence {
   public:
    /// Closes it, whether it has ended or not.
    ~Sequence();
    Sequence(const Sequence&) = delete;
    Sequence& operator=(const Sequence&) = delete;

    /// The next step, of which the last has an `end`; not to be called after that. Throws what a
    /// pass threw: then all sequences that were open are over.
    Step next();

   private:
    friend class SharedGenerator;
    explicit Sequence(SharedGenerator& generator) : generator_(generator) {}
    SharedGenerator& generator_;
    // Guarded by the generator's mutex:
    std::size_t name_ = 0;
    bool wants_logits_ = false;
    std::deque<Step> steps_;
    std::exception_ptr fault_;
  };

  /// Waits for a place; an environment error once `stop` is asked for. Errors of Generator::add,
  /// and too little memory for the sequence.
  std::unique_ptr<Sequence> open(std::vector<std::int32_t> prompt, const SequenceConfig& config,
                                 bool wants_logits, const std::stop_token& stop);

  /// While it is held no pass is made: for what reads the model in another way.
  std::unique_lock<std::mutex> hold();

 private:
  void make_pass();

  const LanguageModel& model_;
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
