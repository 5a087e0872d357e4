#include "run/tag.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "interpret/llm_excerpts.h"

namespace safesail {
namespace {

constexpr std::size_t kExcerpts = 4, kFeaturesAtOnce = 32;

TagQuestion question_of(const FeatureRecord& record, const Explanation& explanation) {
  TagQuestion question{.feature = feature_name(record.sae, record.feature),
                       .short_text = explanation.short_text,
                       .long_text = explanation.long_text,
                       .excerpts = {}};
  for (const Exemplar& exemplar : record.exemplars)
    if (exemplar.use == Use::explain && exemplar.kind == WindowKind::top &&
        question.excerpts.size() < kExcerpts)
      question.excerpts.push_back(text_with_levels(exemplar.window, record.quantile));
  return question;
}

void write_tags(std::int64_t feature, const std::string& source, const LlmTags& answer,
                Atlas& atlas) {
  atlas.delete_tags(feature, source);
  for (const SafetyTag& tag : answer.tags)
    atlas.put_tag(
        feature,
        {.domain = tag.domain,
         .subclass = tag.subclass,
         .source = source,
         .evidence = nlohmann::json{{"words", tag.evidence}, {"prompt", answer.prompt_hash}}.dump(
             -1, ' ', false, nlohmann::json::error_handler_t::replace)});
}

}  // namespace

TagCounts tag_features(LlmTagger& tagger, const ExplanationKey& explained, const std::string& sae,
                       Atlas& atlas, Reporter& reporter, std::stop_token stop) {
  const ExplanationFilter which{.explainer = explained.explainer,
                                .model = explained.model,
                                .language = explained.language,
                                .prompt_hash = explained.prompt_hash,
                                .seed = explained.seed,
                                .sae = sae};
  const std::vector<std::int64_t> explanations = atlas.explanations(which);
  TagCounts counts;
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
        continue;
      }
      write_tags(features[i], explained.model, answers[i], atlas);
      ++(answers[i].tags.empty() ? counts.n_without_risk : counts.n_tagged);
    }
    transaction.commit();
    reporter.progress("tag", last, explanations.size(), "features", "");
  }
  return counts;
}

}  // namespace safesail
