#include "run/tag.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "formats/json.h"
#include "interpret/llm_excerpts.h"

namespace safesail {
namespace {

constexpr std::size_t kExcerpts = 4, kFeaturesAtOnce = 32;

TagQuestion question_of(const FeatureRecord& record, const Explanation& explanation) {
  TagQuestion question{.feature = feature_name(record.sae, record.feature),
                       .short_text = explanation.short_text,
                       .long_text = explanation.long_text,
                       .excerpts = {},
                       .marks = {}};
  std::vector<const Window*> windows;
  for (const Exemplar& exemplar : record.exemplars)
    if (exemplar.use == Use::explain && exemplar.kind == WindowKind::top &&
        windows.size() < kExcerpts)
      windows.push_back(&exemplar.window);
  std::vector<std::string_view> texts;
  for (const Window* window : windows) texts.push_back(window->text);
  question.marks = marks_for(texts);
  for (const Window* window : windows)
    question.excerpts.push_back(text_with_levels(*window, record.quantile, question.marks));
  return question;
}

void write_tags(std::int64_t feature, const std::string& source, const LlmTags& answer,
                Atlas& atlas) {
  atlas.delete_tags(feature, source);
  for (const SafetyTag& tag : answer.tags)
    atlas.put_tag(feature, {.domain = tag.domain,
                            .subclass = tag.subclass,
                            .source = source,
                            .evidence = dump_json(nlohmann::json{{"words", tag.evidence},
                                                                 {"prompt", answer.prompt_hash}})});
}

std::vector<std::int64_t> explanations_of(const ExplanationKey& key, const std::string& sae,
                                          Atlas& atlas) {
  return atlas.explanations({.explainer = key.explainer,
                             .model = key.model,
                             .language = key.language,
                             .prompt_hash = key.prompt_hash,
                             .seed = key.seed,
                             .sae = sae});
}

}  // namespace

CostEstimate estimate_tagging(LlmTagger& tagger, const ExplanationKey& explained,
                              const std::string& sae, std::span<const std::int64_t> lacking,
                              Atlas& atlas) {
  CostEstimate estimate;
  const auto add = [&](std::int64_t feature, const Explanation& explanation) {
    const TagQuestion question = question_of(atlas.record(feature), explanation);
    estimate += tagger.estimate(std::span(&question, 1));
  };
  for (const std::int64_t id : explanations_of(explained, sae, atlas))
    add(atlas.feature_of_explanation(id), atlas.explanation(id));
  // One of the usual length stands for a text that is not written yet.
  const Explanation usual{.short_text = std::string(80, 'x'), .long_text = std::string(400, 'x')};
  for (const std::int64_t feature : lacking) add(feature, usual);
  return estimate;
}

void tag_features(LlmTagger& tagger, const ExplanationKey& explained, const std::string& sae,
                  Atlas& atlas, Reporter& reporter, std::stop_token stop, TagCounts& counts) {
  const std::vector<std::int64_t> explanations = explanations_of(explained, sae, atlas);
  for (std::size_t first = 0; first < explanations.size(); first += kFeaturesAtOnce) {
    if (stop.stop_requested())
      failed("tag", "stopped before the end", "run the same command again; what is there stays");
    const std::size_t last = std::min(first + kFeaturesAtOnce, explanations.size());
    std::vector<TagQuestion> questions;
    std::vector<std::int64_t> features;
    for (std::size_t i = first; i < last; ++i) {
      features.push_back(atlas.feature_of_explanation(explanations[i]));
      questions.push_back(
          question_of(atlas.record(features.back()), atlas.explanation(explanations[i])));
    }
    const std::vector<LlmTags> answers = tagger.tag(questions);
    Transaction transaction = atlas.transaction();
    for (std::size_t i = 0; i < answers.size(); ++i) {
      if (answers[i].status != AnswerStatus::ok) {
        ++counts.n_unanswered;
        counts.n_copied += answers[i].status == AnswerStatus::copied;
        if (answers[i].status == AnswerStatus::failed) {
          ++counts.n_failed;
          counts.reason = answers[i].detail;
        }
        continue;
      }
      write_tags(features[i], explained.model, answers[i], atlas);
      ++(answers[i].tags.empty() ? counts.n_without_risk : counts.n_tagged);
    }
    transaction.commit();
    reporter.progress("tag", last, explanations.size(), "features", "");
  }
}

}  // namespace safesail
