// Every family against transformers: tests/data/model/, made by
// scripts/golden/make_model_golden.py.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/golden_testing.h"
#include "model/kv_cache.h"
#include "model/language_model.h"

namespace safesail {
namespace {

using testing::expect_close;
using testing::ids_of;
using testing::tensor_of;
using Logits = ForwardRequest::Logits;

// f32 on both sides. A dot product of length n differs by about sqrt(n) eps = 1e-6 relative to its
// norm between two orders of summation; some thirty such steps follow one another, and sharp
// softmaxes amplify: 1e-4 of the tensor's rms leaves room, and a wrong epsilon, scale, mask or
// rotation is off by 1e-2 and more.
constexpr double kF32 = 1e-4;

class Families : public ::testing::TestWithParam<const char*> {
 protected:
  Families()
      : folder_(testing::data_folder() / GetParam()),
        golden_(folder_ / "golden.safetensors"),
        ids_(ids_of(golden_, "ids")),
        starts_(ids_of(golden_, "starts")) {}

  std::vector<Site> all_sites(const LanguageModel& model) const {
    return parse_sites("resid_pre.*,attn_out.*,mlp_in.*,mlp_out.*,mlp_post.*,resid_post.*",
                       static_cast<int>(model.spec().n_layers));
  }

  fs::path folder_;
  SafetensorsFile golden_;
  std::vector<std::int32_t> ids_, starts_;
};

TEST_P(Families, LogitsAndEverySiteAsTransformers) {
  const LanguageModel model = testing::load_model(folder_);
  const std::vector<Site> sites = all_sites(model);
  const ForwardResult result =
      model.forward({.ids = ids_, .starts = starts_, .read = sites, .logits = Logits::all});
  for (std::size_t i = 0; i < sites.size(); ++i)
    expect_close(result.sites[i], tensor_of(golden_, to_string(sites[i])), kF32,
                 to_string(sites[i]));
  expect_close(*result.logits, tensor_of(golden_, "logits"), kF32, "logits");
}

TEST_P(Families, GgufGivesTheSameLogits) {
  const LanguageModel model = testing::load_model(folder_ / "model.gguf");
  const ForwardResult result =
      model.forward({.ids = ids_, .starts = starts_, .logits = Logits::all});
  expect_close(*result.logits, tensor_of(golden_, "logits"), kF32, "logits");
  EXPECT_EQ(model.spec().eos, std::vector<std::int32_t>{198});
}

TEST_P(Families, EditsAtEverySiteChangeWhatFollows) {
  const LanguageModel model = testing::load_model(folder_);
  const at::Tensor vector = tensor_of(golden_, "edit.vector");
  // The golden file holds the second and third sequence.
  const std::span<const std::int32_t> ids(ids_.data() + starts_[1],
                                          static_cast<std::size_t>(starts_[3] - starts_[1]));
  const std::vector<std::int32_t> starts{0, starts_[2] - starts_[1], starts_[3] - starts_[1]};
  for (const char* name :
       {"resid_pre", "attn_out", "mlp_in", "mlp_out", "mlp_post", "resid_post"}) {
    const Site site = parse_site(std::string(name) + ".1", 2);
    const at::Tensor expected = tensor_of(golden_, "edit." + std::string(name) + ".logits");
    const SiteEdit in_place{site, [&](at::Tensor& value) { value.add_(vector); }};
    const SiteEdit assigned{site, [&](at::Tensor& value) { value = value + vector; }};
    for (const SiteEdit& edit : {in_place, assigned}) {
      const ForwardResult result =
          model.forward({.ids = ids, .starts = starts, .edits = {edit}, .logits = Logits::all});
      expect_close(*result.logits, expected, kF32, "edited " + to_string(site));
    }
  }
}

// Activation patching: a value kept from one pass is put into others. In every family the sites
// differ in what the pass writes after them: sums, post-norms, both branches at once.
TEST_P(Families, AssignedValuesStayAsTheyAre) {
  const LanguageModel model = testing::load_model(folder_);
  const at::Tensor vector = tensor_of(golden_, "edit.vector");
  const ForwardRequest request{.ids = ids_, .starts = starts_, .logits = Logits::all};
  for (const Site& site : all_sites(model)) {
    at::Tensor kept;
    ForwardRequest first = request, again = request;
    first.edits = {{site, [&](at::Tensor& value) {
                      value.add_(vector);
                      kept = value.clone();
                    }}};
    again.edits = {{site, [&](at::Tensor& value) { value = kept; }}};
    const ForwardResult edited = model.forward(first);
    const at::Tensor before = kept.clone();
    for (int pass = 0; pass < 2; ++pass) {
      EXPECT_TRUE(model.forward(again).logits->equal(*edited.logits)) << to_string(site);
      EXPECT_TRUE(kept.equal(before)) << to_string(site);
    }
  }
}

TEST_P(Families, AnEditMayAssignAViewOfTheValue) {
  const LanguageModel model = testing::load_model(folder_);
  const ForwardRequest request{.ids = ids_, .starts = starts_, .logits = Logits::all};
  for (const Site& site : all_sites(model)) {
    ForwardRequest viewed = request, copied = request;
    // The first token's value at all tokens: an overlapping view of the buffer.
    viewed.edits = {
        {site, [](at::Tensor& value) { value = value.narrow(0, 0, 1).expand_as(value); }}};
    copied.edits = {
        {site, [](at::Tensor& value) { value = value.narrow(0, 0, 1).expand_as(value).clone(); }}};
    EXPECT_TRUE(model.forward(viewed).logits->equal(*model.forward(copied).logits))
        << to_string(site);
  }
}

TEST_P(Families, SequencesDoNotSeeEachOther) {
  const LanguageModel model = testing::load_model(folder_);
  const ForwardResult packed =
      model.forward({.ids = ids_, .starts = starts_, .logits = Logits::all});
  for (std::size_t s = 0; s + 1 < starts_.size(); ++s) {
    const std::int32_t length = starts_[s + 1] - starts_[s];
    const std::vector<std::int32_t> own{0, length};
    const std::span<const std::int32_t> ids(ids_.data() + starts_[s],
                                            static_cast<std::size_t>(length));
    const ForwardResult alone = model.forward({.ids = ids, .starts = own, .logits = Logits::all});
    // Only the order of sums in the matrix products may differ.
    expect_close(*alone.logits, packed.logits->narrow(0, starts_[s], length), 1e-5, "alone");
    const ForwardResult last =
        model.forward({.ids = ids, .starts = own, .logits = Logits::last_of_each});
    expect_close(*last.logits, packed.logits->narrow(0, starts_[s + 1] - 1, 1), 1e-5, "last");
  }
}

TEST_P(Families, TruncatedPassGivesTheSameSites) {
  const LanguageModel model = testing::load_model(folder_);
  const std::vector<Site> sites = all_sites(model);
  const ForwardResult whole =
      model.forward({.ids = ids_, .starts = starts_, .read = sites, .logits = Logits::all});
  for (std::size_t i = 0; i < sites.size(); ++i) {
    const ForwardResult one = model.forward({.ids = ids_, .starts = starts_, .read = {sites[i]}});
    EXPECT_EQ(one.logits, nullptr);
    EXPECT_TRUE(one.sites[0].equal(whole.sites[i])) << to_string(sites[i]);
  }
}

TEST_P(Families, CachedDecodingFollowsTheGreedyContinuation) {
  const LanguageModel model = testing::load_model(folder_);
  const std::vector<std::int32_t> expected = ids_of(golden_, "greedy");
  const auto prompt_length = static_cast<std::size_t>(ids_of(golden_, "greedy_prompt_length")[0]);
  KvCache cache(model, 1, 4);  // small, so that it has to grow
  std::vector<std::int32_t> ids(expected.begin(),
                                expected.begin() + static_cast<long>(prompt_length));
  std::vector<std::int32_t> all = ids;
  while (all.size() < expected.size()) {
    const std::vector<std::int32_t> starts{0, static_cast<std::int32_t>(ids.size())};
    const ForwardResult result = model.forward(
        {.ids = ids, .starts = starts, .logits = Logits::last_of_each, .cache = &cache});
    all.push_back(static_cast<std::int32_t>(result.logits->argmax(-1).item<std::int64_t>()));
    ids = {all.back()};
  }
  EXPECT_EQ(all, expected);
}

TEST_P(Families, CachedLogitsEqualUncachedOnes) {
  const LanguageModel model = testing::load_model(folder_);
  // All sequences at once: first all but their last two tokens (a sequence of one token waits),
  // then the rest.
  const std::vector<std::int32_t> lengths{5, 23, 12};
  std::vector<std::int32_t> first, second, first_starts{0}, second_starts{0};
  for (std::size_t s = 1; s + 1 < starts_.size(); ++s) {
    first.insert(first.end(), ids_.begin() + starts_[s], ids_.begin() + starts_[s + 1] - 2);
    second.insert(second.end(), ids_.begin() + starts_[s + 1] - 2, ids_.begin() + starts_[s + 1]);
    first_starts.push_back(static_cast<std::int32_t>(first.size()));
    second_starts.push_back(static_cast<std::int32_t>(second.size()));
  }
  KvCache cache(model, 3, 8);
  model.forward({.ids = first, .starts = first_starts, .cache = &cache});
  const ForwardResult rest = model.forward(
      {.ids = second, .starts = second_starts, .logits = Logits::all, .cache = &cache});
  const at::Tensor golden = tensor_of(golden_, "logits");
  for (std::int64_t s = 0; s < 3; ++s)
    expect_close(rest.logits->narrow(0, 2 * s, 2),
                 golden.narrow(0, starts_[static_cast<std::size_t>(s) + 2] - 2, 2), kF32, "cached");
}

TEST_P(Families, LossIsTheCrossEntropyOfTheNextToken) {
  const LanguageModel model = testing::load_model(folder_);
  const at::Tensor loss = model.next_token_loss({.ids = ids_, .starts = starts_});
  const at::Tensor log_p = tensor_of(golden_, "logits").log_softmax(-1);
  at::Tensor expected = at::zeros({static_cast<std::int64_t>(ids_.size())});
  for (std::size_t s = 0; s + 1 < starts_.size(); ++s)
    for (std::int32_t t = starts_[s]; t + 1 < starts_[s + 1]; ++t)
      expected[t] = -log_p[t][ids_[static_cast<std::size_t>(t) + 1]];
  expect_close(loss, expected, kF32, "loss");
}

// A pass that starts in the middle, with an edit, against the whole one; then its predictions
// against plain softmaxes of both.
TEST_P(Families, EditedPredictionsAreComparedFromTheMiddleOfThePass) {
  const LanguageModel model = testing::load_model(folder_);
  const Site middle{SiteKind::resid_pre, 1}, site{SiteKind::mlp_out, 1};
  const ForwardResult clean = model.forward(
      {.ids = ids_, .starts = starts_, .read = {middle}, .logits = Logits::all, .hidden = true});
  // Not a multiple of the value: a post-norm would undo it.
  const SiteEdit edit{site,
                      [](at::Tensor& value) { value.narrow(1, 0, value.size(1) / 2).zero_(); }};
  const ForwardResult whole = model.forward(
      {.ids = ids_, .starts = starts_, .edits = {edit}, .logits = Logits::all, .hidden = true});
  const ForwardResult resumed = model.forward({.ids = ids_,
                                               .starts = starts_,
                                               .edits = {edit},
                                               .hidden = true,
                                               .residual = &clean.sites[0],
                                               .first_layer = 1});
  EXPECT_TRUE(resumed.hidden->equal(*whole.hidden));

  TokenBatch batch;
  batch.ids = ids_;
  batch.starts = starts_;
  const std::vector<at::Tensor> edited{*resumed.hidden, *clean.hidden};
  const PredictionChanges changes = model.compare_next_tokens(batch, *clean.hidden, edited);
  const at::Tensor p = clean.logits->to(at::kDouble).log_softmax(-1);
  const at::Tensor q = whole.logits->to(at::kDouble).log_softmax(-1);
  at::Tensor kl = (p.exp() * (p - q)).sum(-1), loss = at::zeros_like(kl);
  for (std::size_t s = 0; s + 1 < starts_.size(); ++s) {
    for (std::int32_t t = starts_[s]; t + 1 < starts_[s + 1]; ++t)
      loss[t] = -q[t][ids_[static_cast<std::size_t>(t) + 1]];
    kl[starts_[s + 1] - 1] = 0;
  }
  const auto n = static_cast<std::int64_t>(ids_.size());
  const auto as_tensor = [&](const std::vector<float>& values) {
    return at::tensor(at::ArrayRef<float>(values), at::kFloat).view({n});
  };
  expect_close(as_tensor(changes.clean_loss),
               model.next_token_loss({.ids = ids_, .starts = starts_}), 0, "clean loss");
  expect_close(as_tensor(changes.edited[0].loss), loss, kF32, "edited loss");
  // A divergence is a small difference of logits of some units: absolute rounding counts.
  EXPECT_LE((as_tensor(changes.edited[0].kl) - kl).abs().max().item<double>(), 2e-5);
  EXPECT_GT(kl.max().item<double>(), 1e-4) << "the edit must matter";
  for (const float unchanged : changes.edited[1].kl) EXPECT_LE(unchanged, 2e-6f);
}

TEST_P(Families, Bf16IsCloseToF32) {
  const LanguageModel model = testing::load_model(folder_, ComputeType::bf16);
  const std::vector<Site> sites = all_sites(model);
  const ForwardResult result =
      model.forward({.ids = ids_, .starts = starts_, .read = sites, .logits = Logits::all});
  // Each rounding to bf16 is off by up to 2^-9, 2^-10 rms. Weights and about ten intermediate
  // values a layer are rounded, independently: 2^-10 sqrt(20 layers) = 0.01 to 0.02 of the norm,
  // times what softmaxes and norms of these random models amplify (measured: up to 0.05). In all,
  // not in the worst element, which one sharp softmax decides.
  for (std::size_t i = 0; i < sites.size(); ++i) {
    ASSERT_EQ(result.sites[i].scalar_type(), at::kBFloat16);
    const at::Tensor expected = tensor_of(golden_, to_string(sites[i]));
    const double off = (result.sites[i].to(at::kFloat) - expected).norm().item<double>();
    EXPECT_LE(off, 0.08 * expected.norm().item<double>()) << to_string(sites[i]);
  }
  const at::Tensor expected = tensor_of(golden_, "logits");
  const double off = (*result.logits - expected).norm().item<double>();
  EXPECT_LE(off, 0.08 * expected.norm().item<double>()) << "logits";
}

INSTANTIATE_TEST_SUITE_P(All, Families,
                         ::testing::Values("llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3",
                                           "gpt_neox", "gpt2"),
                         [](const auto& family) { return std::string(family.param); });

}  // namespace
}  // namespace safesail
