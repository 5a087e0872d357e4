#include "run/explain.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "base/error.h"
#include "interpret/language.h"
#include "interpret/lexical_explainer.h"

namespace safesail {
namespace {

TextStatus text_status(AnswerStatus status) {
  switch (status) {
    case AnswerStatus::ok:
      return TextStatus::ok;
    case AnswerStatus::unparsable:
      return TextStatus::unparsable;
    case AnswerStatus::refused:
      return TextStatus::refused;
    case AnswerStatus::copied:
      return TextStatus::copied;
    case AnswerStatus::failed:
      break;
  }
  return TextStatus::failed;
}

/// What an explainer may see: nothing of the windows that others are scored on.
FeatureRecord for_explaining(FeatureRecord record) {
  std::erase_if(record.exemplars,
                [](const Exemplar& exemplar) { return exemplar.use != Use::explain; });
  return record;
}

void count(const Explanation& explanation, ExplainCounts& counts) {
  switch (explanation.status) {
    case TextStatus::ok:
      ++counts.n_ok;
      counts.n_from_fewer += !explanation.reason.empty();
      break;
    case TextStatus::unparsable:
      ++counts.n_unparsable;
      break;
    case TextStatus::refused:
      ++counts.n_refused;
      break;
    case TextStatus::copied:
      ++counts.n_copied;
      break;
    default:
      ++counts.n_failed;
      counts.reason = explanation.reason;
  }
}

void write(std::span<const std::int64_t> features,
           const std::vector<std::vector<Explanation>>& explained, Atlas& atlas,
           ExplainCounts& counts) {
  Transaction transaction = atlas.transaction();
  for (std::size_t i = 0; i < features.size(); ++i) {
    for (const Explanation& explanation : explained[i])
      atlas.put_explanation(features[i], explanation);
    count(explained[i].front(), counts);
  }
  transaction.commit();
}

/// After the end has come amid these features: those that were answered are known to the explainer
/// and need no asking.
void write_answered(const Explainer& explainer, std::span<const std::int64_t> features,
                    std::span<const FeatureRecord> records, Atlas& atlas, ExplainCounts& counts) {
  for (std::size_t i = 0; i < features.size(); ++i) {
    try {
      write(features.subspan(i, 1), explainer.explain(records.subspan(i, 1)), atlas, counts);
    } catch (const Error&) {  // not answered; why is known
    }
  }
}

}  // namespace

Explainer lexical_explainer() {
  const ExplanationKey english{.explainer = "lexical"};
  ExplanationKey chinese = english;
  chinese.language = "zh";
  return {.key = english,
          .features_at_once = 1,
          .explain = [=](std::span<const FeatureRecord> records) {
            std::vector<std::vector<Explanation>> all;
            for (const FeatureRecord& record : records) {
              const LexicalExplanation explanation = explain_lexically(record);
              all.push_back({{.key = english,
                              .short_text = explanation.english.text,
                              .lexicon = explanation.english.lexicon},
                             {.key = chinese, .short_text = explanation.chinese}});
            }
            return all;
          }};
}

Explainer llm_explainer(LlmExplainer& explainer, const LlmExplainerSettings& settings,
                        const EndpointSettings& endpoint) {
  const ExplanationKey key{.explainer = "llm",
                           .model = endpoint.model,
                           .prompt_hash = explainer.prompt_hash(),
                           .seed = endpoint.seed};
  std::string second_language;
  if (!settings.second_language.empty()) {
    second_language = find_language(settings.second_language).code;
    if (second_language == key.language)
      bad_input("second language", "expected another than English, in which all are explained",
                "leave it out");
  }
  const auto row = [](const ExplanationKey& of, const LlmText& text) {
    return Explanation{.key = of,
                       .status = text_status(text.status),
                       .short_text = text.short_text,
                       .long_text = text.long_text,
                       .raw = text.raw,
                       .request_hash = text.request_hash,
                       .reason = text.detail};
  };
  return {.key = key,
          // Enough that a few slow answers do not leave the endpoint idle.
          .features_at_once = static_cast<std::size_t>(4 * endpoint.concurrency),
          .explain = [=, &explainer](std::span<const FeatureRecord> records) {
            std::vector<std::vector<Explanation>> all;
            for (const LlmExplanation& one : explainer.explain(records)) {
              std::vector<Explanation>& rows = all.emplace_back();
              rows.push_back(row(key, one.text));
              if (!one.second) continue;
              ExplanationKey second = key;
              second.language = second_language;
              rows.push_back(row(second, *one.second));
            }
            return all;
          }};
}

std::vector<std::int64_t> features_to_explain(const Explainer& explainer, const std::string& sae,
                                              std::size_t n_first, Atlas& atlas) {
  return atlas.features_lacking(explainer.key, sae, n_first);
}

CostEstimate estimate_explaining(LlmExplainer& llm, std::span<const std::int64_t> features,
                                 Atlas& atlas) {
  CostEstimate estimate;
  for (const std::int64_t id : features) {
    const FeatureRecord record = for_explaining(atlas.record(id));
    estimate += llm.estimate(std::span(&record, 1));
  }
  return estimate;
}

void explain_features(const Explainer& explainer, const std::string& sae, std::size_t n_first,
                      Atlas& atlas, Reporter& reporter, std::stop_token stop,
                      ExplainCounts& counts) {
  const std::vector<std::int64_t> lacking = features_to_explain(explainer, sae, n_first, atlas);
  for (std::size_t first = 0; first < lacking.size();) {
    if (stop.stop_requested())
      failed("explain", fmt::format("stopped after {} of {} features", first, lacking.size()),
             "run the same command again; what is there stays");
    const std::size_t n = std::min(explainer.features_at_once, lacking.size() - first);
    std::vector<FeatureRecord> records;
    for (std::size_t i = first; i < first + n; ++i)
      records.push_back(for_explaining(atlas.record(lacking[i])));
    const std::span ids = std::span(lacking).subspan(first, n);
    try {
      write(ids, explainer.explain(records), atlas, counts);
    } catch (const Error&) {
      write_answered(explainer, ids, records, atlas, counts);
      throw;
    }
    first += n;
    reporter.progress("explain", first, lacking.size(), "features", "");
  }
}

}  // namespace safesail
