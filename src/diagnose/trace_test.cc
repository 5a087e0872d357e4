#include "diagnose/trace.h"

#include <ATen/ATen.h>
#include <cmath>
#include <gmock/gmock.h>
#include <map>
#include <set>

#include "base/error.h"
#include "diagnose/subject_testing.h"
#include "diagnose/trace_json.h"

namespace safesail {
namespace {

using ::testing::IsEmpty;

const Subject& subject() {
  return testing::small_subject();
}

Trace trace_text(const std::string& text, const TraceOptions& options = {}) {
  return trace(subject(), prompt_of_text(subject().model.tokenizer, text), options);
}

const std::vector<ChatMessage> kChat = {{"system", "You are a careful assistant."},
                                        {"user", "  What is a café?  "}};

/// Activations of every feature of an SAE on every token, by dense products: [n_tokens,
/// n_features].
at::Tensor dense_codes(const KnownSae& sae, const Trace& trace,
                       const std::vector<std::int32_t>& positions) {
  std::vector<std::int32_t> ids;
  for (const std::int32_t position : positions)
    ids.push_back(trace.tokens[static_cast<std::size_t>(position)].id);
  const std::vector<std::int32_t> starts{0, static_cast<std::int32_t>(ids.size())};
  const ForwardResult pass = subject().model.model.forward(
      {.ids = ids, .starts = starts, .positions = positions, .read = {sae.site()}});
  const SaeSpec& spec = sae.sae().spec();
  const auto matrix = [](std::span<const float> values, std::int64_t rows, std::int64_t columns) {
    return at::from_blob(const_cast<float*>(values.data()), {rows, columns}, at::kFloat);
  };
  const at::Tensor pre = at::matmul(pass.sites[0] - matrix(sae.sae().b_dec(), 1, spec.d_in),
                                    matrix(sae.sae().w_enc(), spec.n_features, spec.d_in).t()) +
                         matrix(sae.sae().b_enc(), 1, spec.n_features);
  const auto [values, indices] = pre.topk(spec.k);
  return at::zeros_like(pre).scatter_(1, indices, values.relu());
}

std::vector<std::int32_t> all_positions(const Trace& trace) {
  std::vector<std::int32_t> positions;
  for (const TraceToken& token : trace.tokens) positions.push_back(token.position);
  return positions;
}

/// Sums of a few hundred f32 products: 1e-4 of the largest value covers their order.
void expect_dense(const Trace& trace, const std::vector<std::int32_t>& positions) {
  for (const KnownSae& sae : subject().saes) {
    const at::Tensor dense = dense_codes(sae, trace, positions);
    const double tolerance = 1e-4 * dense.max().item<double>();
    for (std::size_t row = 0; row < positions.size(); ++row) {
      const TraceToken& token = trace.tokens[static_cast<std::size_t>(positions[row])];
      std::map<std::int32_t, float> got;
      for (const TokenFeature& one : token.features)
        if (trace.features[one.feature].sae == &sae)
          got[trace.features[one.feature].index] = one.activation;
      for (std::int32_t f = 0; f < testing::kTestFeatures; ++f) {
        const float expected = dense[static_cast<std::int64_t>(row)][f].item<float>();
        const float found = got.contains(f) ? got.at(f) : 0;
        ASSERT_NEAR(found, sae.known()->find(f) == nullptr ? 0 : expected, tolerance)
            << sae.name() << ", token " << token.position << ", feature " << f;
      }
    }
  }
}

TEST(Trace, HasEveryKnownFeatureThatFires) {
  const Trace result = trace_text("The old library opened again in May.");
  ASSERT_GT(result.tokens.size(), 5u);
  ASSERT_FALSE(result.features.empty());
  expect_dense(result, all_positions(result));
}

TEST(Trace, SortsByNormalisedActivation) {
  const Trace result = trace_text("Numbers and names.", {.unlisted = true});
  for (const TraceToken& token : result.tokens) {
    ASSERT_FALSE(token.features.empty());
    double last = INFINITY;
    bool is_known = true;
    for (const TokenFeature& one : token.features) {
      const TraceFeature& feature = result.features[one.feature];
      if (feature.known == nullptr) {
        is_known = false;
        EXPECT_TRUE(std::isnan(one.normalised));
        continue;
      }
      EXPECT_TRUE(is_known) << "known features come first";
      EXPECT_DOUBLE_EQ(one.normalised, one.activation / feature.known->quantile);
      EXPECT_LE(one.normalised, last);
      last = one.normalised;
    }
  }
}

TEST(Trace, OptionsLeaveOutFeatures) {
  const std::string text = "A short text about rivers and law.";
  const auto seen = [&](const TraceOptions& options) {
    std::set<std::string> names;
    const Trace result = trace_text(text, options);
    for (const TraceToken& token : result.tokens)
      for (const TokenFeature& one : token.features) {
        const TraceFeature& feature = result.features[one.feature];
        names.insert(fmt::format("{} {}", feature.sae->name(), feature.index));
      }
    return names;
  };
  const auto all = seen({});
  const auto expect_those = [&](const TraceOptions& options, const auto& wanted) {
    std::set<std::string> expected;
    for (const std::string& name : all) {
      const std::size_t blank = name.find(' ');
      const auto sae = std::ranges::find(subject().saes, name.substr(0, blank), &KnownSae::name);
      if (wanted(*sae, *sae->known()->find(std::stoi(name.substr(blank))))) expected.insert(name);
    }
    EXPECT_EQ(seen(options), expected);
    EXPECT_LT(expected.size(), all.size());
    EXPECT_FALSE(expected.empty());
  };
  expect_those({.domains = {"violence"}}, [](const KnownSae&, const KnownFeature& known) {
    return known.domains[0] == "violence";
  });
  expect_those({.min_score = 0.3},
               [](const KnownSae&, const KnownFeature& known) { return known.score > 0.3; });
  expect_those({.saes = {"mlp_out.9/topk-k8"}},
               [](const KnownSae& sae, const KnownFeature&) { return sae.site().layer == 9; });
  for (const TraceToken& token : trace_text(text, {.top_n = 2}).tokens)
    EXPECT_LE(token.features.size(), 2u);
  EXPECT_GT(seen({.unlisted = true}).size(), all.size());
  EXPECT_THROW(seen({.saes = {"mlp_out.4/topk-k8"}}), Error);
}

TEST(Trace, TokensCoverTheTextOnce) {
  for (const std::string text :
       {"naïve café, 東京 and हिन्दी 🦜!", " two  blanks\n\nand lines "}) {
    const Trace result = trace_text(text);
    std::string joined;
    std::uint32_t end = 0;
    for (const TraceToken& token : result.tokens) {
      EXPECT_EQ(token.start, end);
      end = token.end;
      joined += text.substr(token.start, token.end - token.start);
    }
    EXPECT_EQ(joined, text);
  }
}

TEST(Trace, TellsWhoseTextATokenIs) {
  const TracePrompt prompt = prompt_of_messages(subject().model.tokenizer, kChat, true);
  std::map<std::string, std::string> by_role;
  for (const TraceToken& token : prompt.tokens)
    by_role[token.role] += prompt.text.substr(token.start, token.end - token.start);
  EXPECT_EQ(by_role["system"], "You are a careful assistant.");
  EXPECT_THAT(by_role["user"], ::testing::HasSubstr("What is a café?"));
  EXPECT_THAT(by_role["user"], ::testing::Not(::testing::HasSubstr("assistant")));
  EXPECT_THAT(by_role["template"], ::testing::HasSubstr("<|im_start|>"));
}

TEST(Trace, TheTemplatesWordsAreItsOwnWhateverTheMessageSays) {
  const TracePrompt prompt = prompt_of_messages(
      subject().model.tokenizer, {{"user", "a"}, {"assistant", "user"}, {"user", "user"}}, true);
  for (const TraceToken& token : prompt.tokens) {
    const std::string before = prompt.text.substr(0, token.start);
    if (prompt.text.substr(token.start, token.end - token.start) != "user") continue;
    EXPECT_EQ(token.role, before.ends_with("<|im_start|>")              ? "template"
                          : before.ends_with("<|im_start|>assistant\n") ? "assistant"
                                                                        : "user")
        << token.start;
  }
  const auto n_said =
      std::ranges::count(prompt.tokens, std::string("assistant"), &TraceToken::role);
  EXPECT_EQ(n_said, 1);
}

TEST(Trace, MaskedSpecialTokensShowNothingAndAreNotSeen) {
  const TracePrompt prompt = prompt_of_messages(subject().model.tokenizer, kChat, true);
  const Trace masked = trace(subject(), prompt, {.mask_special = true});
  const Trace plain = trace(subject(), prompt, {});
  std::vector<std::int32_t> read;
  for (const TraceToken& token : masked.tokens)
    if (token.is_special)
      EXPECT_THAT(token.features, IsEmpty());
    else
      read.push_back(token.position);
  ASSERT_LT(read.size(), masked.tokens.size());
  expect_dense(masked, read);
  const auto values = [&](const Trace& result) {
    std::vector<float> list;
    for (const std::int32_t position : read)
      for (const TokenFeature& one : result.tokens[static_cast<std::size_t>(position)].features)
        list.push_back(one.activation);
    return list;
  };
  EXPECT_NE(values(masked), values(plain)) << "the mask must matter";
}

TEST(Trace, RefusesAnEmptyText) {
  EXPECT_THROW(trace_text(""), Error);
}

TEST(TraceJson, NamesFeaturesOnceOrInFull) {
  const Trace result = trace_text("Café ☕.", {.unlisted = true});
  const Json brief = json_of(result), full = json_in_full(result, "zh");
  ASSERT_EQ(brief["tokens"].size(), full["tokens"].size());
  for (std::size_t t = 0; t < full["tokens"].size(); ++t) {
    const Json &a = brief["tokens"][t], &b = full["tokens"][t];
    EXPECT_EQ(a["text"], b["text"]);
    ASSERT_EQ(a["features"].size(), b["features"].size());
    for (std::size_t i = 0; i < a["features"].size(); ++i) {
      const Json& named = brief["features"].at(a["features"][i]["feature"].get<std::size_t>());
      EXPECT_EQ(named["index"], b["features"][i]["index"]);
      EXPECT_EQ(named["layer"], b["features"][i]["layer"]);
      EXPECT_EQ(named["score"], b["features"][i]["score"]);
      EXPECT_EQ(a["features"][i]["normalised"], b["features"][i]["normalised"]);
      EXPECT_EQ(named["explanation"].value("en", Json()), b["features"][i]["explanation"]);
    }
  }
}

}  // namespace
}  // namespace safesail
