#include "diagnose/engine.h"

#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <map>
#include <thread>

#include "base/error.h"
#include "diagnose/subject_testing.h"
#include "model/generate.h"

namespace safesail {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Subject& subject() {
  return testing::small_subject();
}

TracePrompt prompt(const std::string& question) {
  return prompt_of_messages(subject().model.tokenizer, {{"user", question}}, true);
}

EngineRequest chat(const std::string& question, std::int64_t n_new) {
  EngineRequest request{prompt(question), {}, {}};
  request.generation.max_new_tokens = n_new;
  return request;
}

std::unique_ptr<Engine::Ticket> submit(Engine& engine, EngineRequest request) {
  std::vector<EngineRequest> requests;
  requests.push_back(std::move(request));
  auto tickets = engine.submit(std::move(requests));
  return tickets.empty() ? nullptr : std::move(tickets.front());
}

/// Everything up to Ended or Failed.
struct Answer {
  Trace trace;
  std::vector<std::int32_t> ids;
  std::optional<Ended> ended;
  std::optional<Error> failed;
  std::size_t n_with_features = 0;
};

Answer collect(Engine::Ticket& ticket) {
  Answer answer;
  while (!answer.ended && !answer.failed) {
    std::optional<EngineEvent> event = ticket.next(60s);
    if (!event) throw std::runtime_error("no event in a minute");
    if (auto* started = std::get_if<Started>(&*event)) {
      answer.trace = std::move(started->trace);
      answer.n_with_features = answer.trace.tokens.size();
    } else if (auto* token = std::get_if<NewToken>(&*event)) {
      answer.ids.push_back(token->token.id);
      answer.trace.text += token->text;
      answer.trace.tokens.push_back(std::move(token->token));
    } else if (auto* features = std::get_if<NewFeatures>(&*event)) {
      for (TraceFeature& one : features->added) answer.trace.features.push_back(one);
      for (auto& [position, list] : features->tokens) {
        answer.trace.tokens.at(static_cast<std::size_t>(position)).features = std::move(list);
        ++answer.n_with_features;
      }
    } else if (auto* ended = std::get_if<Ended>(&*event)) {
      answer.ended = *ended;
    } else {
      answer.failed = std::get<Failed>(*event).error;
    }
  }
  return answer;
}

std::map<std::string, float> activations(const Trace& trace, const TraceToken& token) {
  std::map<std::string, float> values;
  for (const TokenFeature& one : token.features) {
    const TraceFeature& feature = trace.features.at(one.feature);
    values[fmt::format("{} {}", feature.sae->name(), feature.index)] = one.activation;
  }
  return values;
}

/// A value within 1e-3 of the largest (sums in another order, layer after layer); a feature near
/// the k-th largest may be there or not.
void expect_same(const Trace& a, const Trace& b) {
  ASSERT_EQ(a.text, b.text);
  ASSERT_EQ(a.tokens.size(), b.tokens.size());
  std::size_t n_odd = 0, n = 0;
  for (std::size_t t = 0; t < a.tokens.size(); ++t) {
    EXPECT_EQ(a.tokens[t].id, b.tokens[t].id);
    const auto x = activations(a, a.tokens[t]), y = activations(b, b.tokens[t]);
    float largest = 0;
    for (const auto& [name, value] : x) largest = std::max(largest, value);
    for (const auto& [name, value] : x) {
      ++n;
      if (!y.contains(name)) {
        ++n_odd;
        continue;
      }
      EXPECT_NEAR(value, y.at(name), 1e-3 * largest) << "token " << t << ", " << name;
    }
    n_odd += static_cast<std::size_t>(
        std::ranges::count_if(y, [&](const auto& one) { return !x.contains(one.first); }));
  }
  EXPECT_GT(n, 0u);
  EXPECT_LE(n_odd, n / 100) << "features that are in one of the traces only";
}

TEST(Engine, AnswersAsGenerationDoesWithTheFeaturesOfATrace) {
  Engine engine(subject(), {});
  const EngineRequest request = chat("Name three colours.", 21);
  const std::vector<std::int32_t> ids = ids_of(request.prompt);
  const auto expected = generate(subject().model.model, {ids}, {.max_new_tokens = 21}).front();

  const auto ticket = submit(engine, request);
  const Answer answer = collect(*ticket);
  ASSERT_TRUE(answer.ended);
  EXPECT_EQ(answer.ids, expected.ids);
  EXPECT_EQ(answer.ended->end, expected.end);
  EXPECT_EQ(answer.ended->n_new, expected.ids.size());
  EXPECT_EQ(answer.ended->n_prompt, ids.size());
  EXPECT_EQ(answer.n_with_features, answer.trace.tokens.size()) << "the last token too";

  TracePrompt whole{answer.trace.text, answer.trace.tokens};
  for (TraceToken& token : whole.tokens) token.features.clear();
  expect_same(answer.trace, trace(subject(), whole, {}));
}

TEST(Engine, MaskedChatsAreReadAgainAtTheEnd) {
  Engine engine(subject(), {});
  EngineRequest request = chat("Say hello.", 9);
  request.options.mask_special = true;
  const auto ticket = submit(engine, request);
  const Answer answer = collect(*ticket);
  TracePrompt whole{answer.trace.text, answer.trace.tokens};
  for (TraceToken& token : whole.tokens) token.features.clear();
  expect_same(answer.trace, trace(subject(), whole, request.options));
}

TEST(Engine, ManyVisitorsGetWhatEachWouldGetAlone) {
  const std::vector<std::string> questions = {"What is rain?", "Count to ten.", "Who was Bach?",
                                              "Define courage.", "Why is the sky blue?"};
  Engine engine(subject(), {.max_active = 3});
  std::vector<std::unique_ptr<Engine::Ticket>> tickets;
  for (std::size_t i = 0; i < questions.size(); ++i)
    tickets.push_back(submit(engine, chat(questions[i], 5 + 4 * static_cast<std::int64_t>(i))));
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const Answer answer = collect(*tickets[i]);
    const auto alone = submit(engine, chat(questions[i], 5 + 4 * static_cast<std::int64_t>(i)));
    EXPECT_EQ(answer.ids, collect(*alone).ids) << questions[i];
    EXPECT_EQ(answer.n_with_features, answer.trace.tokens.size());
  }
}

TEST(Engine, ServesInOrderOfArrival) {
  Engine engine(subject(), {.max_active = 1});
  std::vector<std::unique_ptr<Engine::Ticket>> tickets;
  for (int i = 0; i < 4; ++i) tickets.push_back(submit(engine, chat("Hi.", 4)));
  EXPECT_LE(tickets[1]->n_before(), tickets[3]->n_before());
  // When one has ended, all before it have.
  EXPECT_TRUE(collect(*tickets[3]).ended);
  for (int i = 0; i < 3; ++i) {
    std::optional<EngineEvent> last, event;
    while ((event = tickets[static_cast<std::size_t>(i)]->next(0ms))) last = std::move(event);
    ASSERT_TRUE(last);
    EXPECT_TRUE(std::holds_alternative<Ended>(*last)) << i;
  }
}

TEST(Engine, AFullQueueTakesNobodyAndLosesNobody) {
  Engine engine(subject(), {.max_waiting = 2, .max_active = 1});
  std::vector<std::unique_ptr<Engine::Ticket>> taken;
  std::size_t n_turned_away = 0;
  for (int i = 0; i < 8; ++i) {
    auto ticket = submit(engine, chat("Tell me a story.", 30));
    ticket == nullptr ? void(++n_turned_away) : taken.push_back(std::move(ticket));
  }
  EXPECT_GE(n_turned_away, 4u);  // one at work and two waiting, and one that may have begun since
  std::vector<EngineRequest> two;
  two.push_back(chat("a", 1));
  two.push_back(chat("b", 1));
  two.push_back(chat("c", 1));
  EXPECT_THAT(engine.submit(std::move(two)), IsEmpty()) << "all or none";
  for (const auto& ticket : taken) EXPECT_TRUE(collect(*ticket).ended);
}

TEST(Engine, WhoLeavesMakesRoom) {
  Engine engine(subject(), {.max_active = 1});
  auto leaving = submit(engine, chat("Tell me everything about history.", 1000));
  while (!std::holds_alternative<NewToken>(leaving->next(60s).value())) {
  }
  auto waiting = submit(engine, chat("Never mind.", 1000));
  auto staying = submit(engine, chat("Hi.", 3));
  waiting.reset();  // leaves before its turn
  leaving.reset();
  EXPECT_TRUE(collect(*staying).ended);  // in a minute: a thousand tokens would take longer
  EXPECT_EQ(engine.load().n_waiting, 0u);
}

TEST(Engine, BetweenTwoPromptsTheChatsGoOn) {
  Engine engine(subject(), {.max_active = 8});
  const auto talking = submit(engine, chat("Tell me everything about history.", 200));
  while (!std::holds_alternative<NewToken>(talking->next(60s).value())) {
  }
  std::vector<EngineRequest> requests;
  for (int i = 0; i < 4; ++i) {
    requests.push_back(chat("What is rain?", 0));
    requests.push_back(chat("What is rain?", 1));
  }
  std::size_t n_tokens = 0, n_ended = 0;
  for (const auto& other : engine.submit(std::move(requests))) {
    EXPECT_TRUE(collect(*other).ended);
    while (const std::optional<EngineEvent> event = talking->next(0ms))
      n_tokens += std::holds_alternative<NewToken>(*event) ? 1 : 0;
    EXPECT_GE(n_tokens, n_ended++) << "a token between each prompt and the next";
  }
  EXPECT_EQ(n_ended, 8u);
}

TEST(Engine, WhoLeftTakesNoRoomInTheQueue) {
  Engine engine(subject(), {.max_waiting = 2, .max_active = 1});
  const auto talking = submit(engine, chat("Tell me everything about history.", 1000));
  while (!std::holds_alternative<NewToken>(talking->next(60s).value())) {
  }
  for (int i = 0; i < 5; ++i) {
    const auto first = submit(engine, chat("Never mind.", 0)),
               second = submit(engine, chat("a", 0));
    ASSERT_NE(first, nullptr);
    ASSERT_NE(second, nullptr);
    EXPECT_EQ(engine.load().n_waiting, 2u);
    EXPECT_EQ(submit(engine, chat("b", 0)), nullptr);
  }
  EXPECT_EQ(engine.load().n_waiting, 0u);
}

TEST(Engine, WhatIsAnsweredIsNotCounted) {
  Engine engine(subject(), {});
  for (const std::int64_t n_new : {0, 3}) {
    const auto ticket = submit(engine, chat("What is rain?", n_new));
    EXPECT_TRUE(collect(*ticket).ended);
    EXPECT_EQ(engine.load().n_active, 0u) << n_new << " tokens";
  }
  EngineRequest faulty = chat("What is rain?", 3);
  faulty.prompt.tokens.back().id =
      static_cast<std::int32_t>(subject().model.model.spec().vocab_size);
  EXPECT_TRUE(collect(*submit(engine, faulty)).failed);
  EXPECT_EQ(engine.load().n_active, 0u);
}

TEST(Engine, ATokenThatTheModelDoesNotHaveIsTheFaultOfItsOwnVisitor) {
  Engine engine(subject(), {});
  const auto innocent = submit(engine, chat("Tell me everything about history.", 20));
  while (!std::holds_alternative<NewToken>(innocent->next(60s).value())) {
  }
  for (const std::int64_t n_new : {0, 3}) {
    EngineRequest faulty = chat("What is rain?", n_new);
    faulty.prompt.tokens.back().id =
        static_cast<std::int32_t>(subject().model.model.spec().vocab_size);
    const Answer answer = collect(*submit(engine, faulty));
    ASSERT_TRUE(answer.failed);
    EXPECT_EQ(answer.failed->fault(), Fault::input);
  }
  std::optional<EngineEvent> last, event;
  while ((event = innocent->next(60s))) {
    last = std::move(event);
    if (std::holds_alternative<Ended>(*last) || std::holds_alternative<Failed>(*last)) break;
  }
  EXPECT_TRUE(std::holds_alternative<Ended>(last.value()));
}

TEST(Engine, EndingTellsEveryVisitor) {
  std::vector<std::unique_ptr<Engine::Ticket>> tickets;
  {
    Engine engine(subject(), {.max_active = 1});
    for (int i = 0; i < 3; ++i) tickets.push_back(submit(engine, chat("Go on and on.", 1000)));
    while (!std::holds_alternative<Started>(tickets[0]->next(60s).value())) {
    }
  }
  for (const auto& ticket : tickets) {
    const Answer answer = collect(*ticket);
    ASSERT_TRUE(answer.failed);
    EXPECT_THAT(answer.failed->what(), HasSubstr("ending"));
  }
}

TEST(Engine, WhoComesAfterTheEndIsToldAtOnce) {
  Engine engine(subject(), {});
  engine.end();
  EXPECT_TRUE(collect(*submit(engine, chat("Hi.", 3))).failed);
}

TEST(Engine, TracesWithoutAnAnswer) {
  Engine engine(subject(), {});
  const auto ticket = submit(engine, chat("What is rain?", 0));
  const Answer answer = collect(*ticket);
  expect_same(answer.trace, trace(subject(), prompt("What is rain?"), {}));
  EXPECT_EQ(answer.ended->n_new, 0u);
}

TEST(Engine, RefusesWhatIsBeyondItsLimits) {
  Engine engine(subject(), {.max_prompt_tokens = 40, .max_new_tokens = 10});
  EXPECT_THROW(submit(engine, chat("Hi.", 11)), Error);
  EXPECT_THROW(submit(engine, chat("Hi.", -1)), Error);
  std::string lengthy;
  for (int i = 0; i < 50; ++i) lengthy += "word ";
  EXPECT_THROW(submit(engine, chat(lengthy, 5)), Error);
  EngineRequest hot = chat("Hi.", 5);
  hot.generation.sampling.temperature = -1;
  EXPECT_THROW(submit(engine, hot), Error);
  EngineRequest elsewhere = chat("Hi.", 5);
  elsewhere.options.saes = {"nowhere"};
  EXPECT_THROW(submit(engine, elsewhere), Error);
}

TEST(EngineMemory, GrowsByTheKeysAndValuesOfEachTokenOfEachChat) {
  const ModelSpec& spec = subject().model.model.spec();
  const auto of_new_tokens = [&](std::int64_t n) {
    return Engine::memory_bytes(subject(), {.max_active = 3, .max_new_tokens = n});
  };
  const std::uint64_t element = subject().model.model.options().dtype == ComputeType::bf16 ? 2 : 4;
  const auto values =
      static_cast<std::uint64_t>(spec.n_layers * 2 * spec.n_kv_heads * spec.head_dim);
  EXPECT_EQ(of_new_tokens(500) - of_new_tokens(400), 100 * 3 * values * element);
}

}  // namespace
}  // namespace safesail
