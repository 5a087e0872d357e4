#include "diagnose/engine.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <fmt/format.h>
#include <mutex>
#include <thread>
#include <utility>

#include "diagnose/chat.h"
#include "model/kv_cache.h"

namespace safesail {

struct Engine::Ticket::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<EngineEvent> events;
  std::atomic<bool> is_cancelled = false;
  std::atomic<std::size_t> n_before = 0;
  /// While it is the visitor's turn: the engine's count of those whose turn it is.
  std::atomic<std::size_t>* turns = nullptr;

  void begin_turn(std::atomic<std::size_t>& of_engine) {
    n_before = 0;
    turns = &of_engine;
    ++*turns;
  }
  void end_turn() {
    if (turns != nullptr) --*std::exchange(turns, nullptr);
  }
  void give(EngineEvent event) {
    // First, so that who has the last event is not counted any more.
    if (std::holds_alternative<Ended>(event) || std::holds_alternative<Failed>(event)) end_turn();
    const std::scoped_lock lock(mutex);
    events.push_back(std::move(event));
    changed.notify_all();
  }
};

Engine::Ticket::Ticket(std::shared_ptr<State> state) : state_(std::move(state)) {}

Engine::Ticket::~Ticket() {
  cancel();
}

std::optional<EngineEvent> Engine::Ticket::next(std::chrono::milliseconds wait) {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait_for(lock, wait, [&] { return !state_->events.empty(); });
  if (state_->events.empty()) return std::nullopt;
  EngineEvent event = std::move(state_->events.front());
  state_->events.pop_front();
  return event;
}

std::size_t Engine::Ticket::n_before() const {
  return state_->n_before;
}

void Engine::Ticket::cancel() {
  state_->is_cancelled = true;
}

struct Engine::Impl {
  using Visitor = std::shared_ptr<Ticket::State>;
  struct Waiting {
    Visitor visitor;
    EngineRequest request;
  };
  struct Active {
    Visitor visitor;
    std::unique_ptr<Chat> chat;
    std::size_t sequence = 0;
  };

  Impl(const Subject& subject_, const EngineLimits& limits_)
      : subject(subject_), limits(limits_), worker([this](std::stop_token stop) { work(stop); }) {}

  void work(const std::stop_token& stop);
  std::optional<Waiting> next(const std::stop_token& stop);
  void begin(Waiting waiting, Generator& generator);
  void begin_next(const std::stop_token& stop, Generator& generator);
  void answer_trace(Waiting waiting) const;
  void step(Generator& generator);
  void drop_cancelled(Generator& generator);
  // With the mutex held:
  void forget_who_left();
  void turn_away();

  const Subject& subject;
  const EngineLimits limits;
  mutable std::mutex mutex;
  std::condition_variable_any changed;
  std::deque<Waiting> waiting;
  std::vector<Active> active;            // of the worker
  std::atomic<std::size_t> n_turns = 0;  // chats, and traces under way
  std::jthread worker;                   // last: it uses all the others
};

namespace {

Error ending() {
  return Error(Fault::environment, "engine", "the server is ending", "ask again when it is back");
}

/// What a visitor hears of an exception.
Failed failed_by(const std::exception& fault) {
  if (const auto* error = dynamic_cast<const Error*>(&fault)) return {*error};
  return {Error(Fault::environment, "engine", "a fault inside ended the request",
                "ask again; report it when it comes back")};
}

/// Calls `work`; an exception becomes the visitor's event.
template <class Work>
bool attempt(const auto& visitor, const Work& work) {
  try {
    work();
    return true;
  } catch (const std::exception& fault) {
    visitor->give(failed_by(fault));
    return false;
  }
}

}  // namespace

void Engine::Impl::turn_away() {
  for (const Waiting& one : waiting) one.visitor->give(Failed{ending()});
  waiting.clear();
}

void Engine::Impl::forget_who_left() {
  std::erase_if(waiting, [](const Waiting& one) { return one.visitor->is_cancelled.load(); });
  for (std::size_t i = 0; i < waiting.size(); ++i) waiting[i].visitor->n_before = i + 1;
}

std::optional<Engine::Impl::Waiting> Engine::Impl::next(const std::stop_token& stop) {
  std::unique_lock lock(mutex);
  const auto may_begin = [&] {
    forget_who_left();
    return !waiting.empty() && active.size() < limits.max_active;
  };
  if (active.empty()) changed.wait(lock, stop, may_begin);
  if (stop.stop_requested() || !may_begin()) return std::nullopt;
  Waiting one = std::move(waiting.front());
  waiting.pop_front();
  one.visitor->begin_turn(n_turns);
  forget_who_left();
  return one;
}

void Engine::Impl::answer_trace(Waiting one) const {
  attempt(one.visitor, [&] {
    const auto begin = std::chrono::steady_clock::now();
    const std::size_t n_prompt = one.request.prompt.tokens.size();
    one.visitor->give(Started{trace(subject, std::move(one.request.prompt), one.request.options)});
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    one.visitor->give(Ended{SequenceEnd::length, n_prompt, 0, taken.count()});
  });
}

void Engine::Impl::begin(Waiting one, Generator& generator) {
  attempt(one.visitor, [&] {
    Active chat{one.visitor, nullptr, 0};
    chat.chat = std::make_unique<Chat>(
        subject, std::move(one.request),
        [visitor = one.visitor](EngineEvent event) { visitor->give(std::move(event)); });
    chat.sequence = generator.add(chat.chat->prompt_ids(), chat.chat->sequence());
    active.push_back(std::move(chat));
  });
}

void Engine::Impl::begin_next(const std::stop_token& stop, Generator& generator) {
  // One prompt, of a trace or of a chat, and then it is the turn of those who are being answered:
  // between two of their tokens nobody waits for more than that.
  std::optional<Waiting> one = next(stop);
  if (!one) return;
  if (one->request.generation.max_new_tokens == 0)
    answer_trace(std::move(*one));
  else
    begin(std::move(*one), generator);
}

void Engine::Impl::step(Generator& generator) {
  const GeneratorStep& pass = generator.step();
  for (const SequenceStep& one : pass.sequences) {
    const auto at = std::ranges::find(active, one.sequence, &Active::sequence);
    bool goes_on = false;
    const bool is_well = attempt(at->visitor, [&] { goes_on = at->chat->take(one, pass.sites); });
    if (is_well && goes_on) continue;
    generator.remove(one.sequence);
    active.erase(at);
  }
}

void Engine::Impl::drop_cancelled(Generator& generator) {
  std::erase_if(active, [&](const Active& one) {
    if (!one.visitor->is_cancelled) return false;
    one.visitor->end_turn();
    generator.remove(one.sequence);
    return true;
  });
}

void Engine::Impl::work(const std::stop_token& stop) {
  const std::vector<Site> sites = sites_of(subject);
  auto generator = std::make_unique<Generator>(subject.model.model, sites);
  while (!stop.stop_requested()) {
    begin_next(stop, *generator);
    drop_cancelled(*generator);
    try {
      step(*generator);
    } catch (const std::exception& fault) {
      // The pass was for all of them; the next ones get a new generator.
      for (const Active& one : active) one.visitor->give(failed_by(fault));
      active.clear();
      generator = std::make_unique<Generator>(subject.model.model, sites);
    }
  }
  for (const Active& one : active) one.visitor->give(Failed{ending()});
  const std::scoped_lock lock(mutex);
  turn_away();
}

Engine::Engine(const Subject& subject, const EngineLimits& limits)
    : impl_(std::make_unique<Impl>(subject, limits)) {}

Engine::~Engine() = default;

std::uint64_t Engine::memory_bytes(const Subject& subject, const EngineLimits& limits) {
  const LanguageModel& model = subject.model.model;
  const auto n_chats = static_cast<std::int64_t>(limits.max_active);
  const std::int64_t longest = limits.max_prompt_tokens + limits.max_new_tokens;
  return KvCache::bytes_per_token(model) * static_cast<std::uint64_t>(n_chats * longest) +
         model.forward_bytes(limits.max_prompt_tokens + n_chats, sites_of(subject).size(), false);
}

void Engine::end() {
  impl_->worker.request_stop();
}

std::vector<std::unique_ptr<Engine::Ticket>> Engine::submit(std::vector<EngineRequest> requests) {
  Impl& impl = *impl_;
  const ModelSpec& spec = impl.subject.model.model.spec();
  for (const EngineRequest& request : requests) {
    check_options(request.options, impl.subject);
    check_sampling(request.generation.sampling);
    const auto n = static_cast<std::int64_t>(request.prompt.tokens.size());
    const std::int64_t n_new = request.generation.max_new_tokens;
    const std::int64_t longest = std::min(impl.limits.max_prompt_tokens, spec.longest_text());
    if (n < 1 || n > longest)
      bad_input("prompt", fmt::format("expected 1 to {} tokens, got {}", longest, n),
                "shorten the text");
    if (n_new < 0 || n_new > impl.limits.max_new_tokens)
      bad_input("max_tokens",
                fmt::format("expected 0 to {}, got {}", impl.limits.max_new_tokens, n_new),
                "ask for a shorter answer");
  }
  std::vector<std::unique_ptr<Ticket>> tickets;
  const std::scoped_lock lock(impl.mutex);
  impl.forget_who_left();  // who left takes no room
  if (impl.waiting.size() + requests.size() > impl.limits.max_waiting) return tickets;
  for (EngineRequest& request : requests) {
    auto state = std::make_shared<Ticket::State>();
    tickets.push_back(std::unique_ptr<Ticket>(new Ticket(state)));
    impl.waiting.push_back({std::move(state), std::move(request)});
  }
  if (impl.worker.get_stop_token().stop_requested()) impl.turn_away();
  impl.forget_who_left();
  impl.changed.notify_all();
  return tickets;
}

Engine::Load Engine::load() const {
  const std::scoped_lock lock(impl_->mutex);
  impl_->forget_who_left();
  return {impl_->waiting.size(), impl_->n_turns};
}

}  // namespace safesail
