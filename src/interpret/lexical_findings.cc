#include "interpret/lexical_findings.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "base/error.h"

namespace safesail {
namespace {

constexpr std::size_t kMaxWords = 8, kMaxCompany = 5, kMaxStrongest = 4, kMaxInGroup = 3;
constexpr double kMinShare = 0.02;       // of a word in the list, beyond the first three
constexpr double kMinGroupShare = 0.15;  // of a group; a third of that for each of its texts
constexpr std::size_t kMinGroupWords = 3;
constexpr double kCompanyDeviations = 2;

struct Unit {
  std::vector<Cue> cues;
  std::string written;
  std::uint64_t document = 0;
  int level = 0;
  bool is_word = false;

  bool is_number() const { return written.front() >= '0' && written.front() <= '9'; }
};

std::vector<Unit> units_of(std::span<const Exemplar* const> exemplars, float quantile) {
  std::map<std::tuple<std::uint64_t, std::string, std::string>, Unit> units;
  for (const Exemplar* exemplar : exemplars) {
    SAFESAIL_CHECK(exemplar->use == Use::explain);
    const Window& window = exemplar->window;
    std::vector<CuedPiece> pieces = cued_pieces(window.text);
    std::vector<TextRange> ranges;
    for (const CuedPiece& piece : pieces) ranges.push_back(piece.range);
    const std::vector<float> activation = max_activations(window, ranges);
    std::string before;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      CuedPiece& piece = pieces[i];
      const std::string word = piece.cues.front().text;
      Unit& unit = units[{window.document, before, word}];
      const int level = activation_level(activation[i], quantile);
      if (unit.cues.empty() || level > unit.level)
        unit = {
            .cues = std::move(piece.cues),
            .written = window.text.substr(piece.range.begin, piece.range.end - piece.range.begin),
            .document = window.document,
            .level = level,
            .is_word = piece.is_word};
      before = word;
    }
  }
  std::vector<Unit> all;
  for (auto& [key, unit] : units) all.push_back(std::move(unit));
  return all;
}

/// The units that have a cue.
struct Tally {
  double mass = 0;
  std::size_t n_units = 0, n_firing = 0;
  std::set<std::uint64_t> documents;  ///< in which one fires
  std::set<std::string> words;        ///< that fire
  std::string written;                ///< the strongest
  int highest = 0;

  void add(const Unit& unit) {
    ++n_units;
    if (unit.level == 0) return;
    ++n_firing;
    mass += unit.level;
    documents.insert(unit.document);
    words.insert(unit.cues.front().text);
    if (unit.level > highest) written = unit.written;
    highest = std::max(highest, unit.level);
  }
  double odds() const {
    return (static_cast<double>(n_firing) + 0.5) / (static_cast<double>(n_units - n_firing) + 0.5);
  }
};

struct Tallies {
  Tally all;
  std::map<Cue, Tally> of_cue;

  explicit Tallies(const std::vector<Unit>& units) {
    for (const Unit& unit : units) {
      all.add(unit);
      for (const Cue& cue : unit.cues) of_cue[cue].add(unit);
    }
  }
  double share(const Tally& tally) const { return all.mass > 0 ? tally.mass / all.mass : 0; }
  bool is_found(const Tally& tally) const {
    // Of a feature that fires in a few documents one is enough.
    const std::size_t wanted = all.documents.size() < 2 * kMinDocuments ? 1 : kMinDocuments;
    return tally.documents.size() >= wanted && tally.odds() >= kMinOddsRatio * all.odds();
  }
};

/// Whether a cue stands for words of different kinds.
bool is_group(const Tallies& tallies, const Cue& cue) {
  const auto found = tallies.of_cue.find(cue);
  return found != tallies.of_cue.end() && found->second.words.size() >= kMinGroupWords &&
         tallies.is_found(found->second);
}

/// The word that nearly all of the firing units of `word` have before them, if the two tell more
/// than the word alone; else empty.
std::string condition(const Tallies& tallies, const Unit& unit, const Tally& word) {
  if (unit.cues.size() < 3 || unit.cues[1].kind != CueKind::pair) return {};
  const Tally& pair = tallies.of_cue.at(unit.cues[1]);
  // What follows a word whatever it is itself makes a group, not a list.
  if (is_group(tallies, unit.cues[2])) return {};
  const bool most = pair.mass >= 0.6 * word.mass, tells_more = pair.odds() >= 2 * word.odds();
  return tallies.is_found(pair) && most && tells_more ? unit.cues[2].text : std::string();
}

void find_list(const std::vector<Unit>& units, const Tallies& tallies, LexicalFindings& findings) {
  struct Candidate {
    LexicalFindings::Word word;
    const Tally* tally;
  };
  std::map<std::string, Candidate> candidates;
  const bool any_number = is_group(tallies, {CueKind::trait, "number"});
  for (const Unit& unit : units) {
    if (unit.level == 0 || (any_number && unit.is_number())) continue;
    const Tally& word = tallies.of_cue.at(unit.cues.front());
    const std::string after = condition(tallies, unit, word);
    if (after.empty() && !tallies.is_found(word)) continue;
    const Tally& tally = after.empty() ? word : tallies.of_cue.at(unit.cues[1]);
    Candidate& candidate = candidates[unit.cues.front().text];
    if (candidate.tally != nullptr && !candidate.word.after.empty()) continue;
    candidate = {{.text = tally.written, .after = after, .share = tallies.share(tally)}, &tally};
  }
  std::vector<Candidate> falling;
  for (auto& [text, candidate] : candidates) falling.push_back(std::move(candidate));
  std::ranges::stable_sort(falling, std::greater(),
                           [](const Candidate& c) { return c.word.share; });
  std::size_t n_units = 0, n_firing = 0;
  for (Candidate& candidate : falling) {
    if (findings.words.size() == kMaxWords) break;
    if (findings.words.size() >= 3 && candidate.word.share < kMinShare) break;
    findings.share += candidate.word.share;
    n_units += candidate.tally->n_units;
    n_firing += candidate.tally->n_firing;
    findings.words.push_back(std::move(candidate.word));
  }
  if (n_units > 0)
    findings.precision = static_cast<double>(n_firing) / static_cast<double>(n_units);
}

std::set<std::string> listed_words(const LexicalFindings& findings) {
  std::set<std::string> folded;
  for (const LexicalFindings::Word& word : findings.words) folded.insert(fold_case(word.text));
  return folded;
}

/// Found among the units that the list of words does not cover.
void find_groups(const std::vector<Unit>& units, const Tallies& all, LexicalFindings& findings) {
  const std::set<std::string> listed = listed_words(findings);
  std::vector<Unit> others;
  for (const Unit& unit : units)
    if (!listed.contains(unit.cues.front().text)) others.push_back(unit);
  const Tallies beyond(others);
  std::map<Cue, std::vector<std::pair<double, Cue>>> found;
  for (const auto& [cue, tally] : beyond.of_cue) {
    const bool is_trait = cue.kind == CueKind::trait;
    if (cue.kind == CueKind::word || cue.kind == CueKind::pair || (is_trait && cue.text == "word"))
      continue;
    // A word may have several traits, but one ending: the shares of endings add up.
    const Cue group = is_trait ? cue : Cue{cue.kind, {}};
    if (const double share = all.share(tally);
        is_group(beyond, cue) && share >= (is_trait ? kMinGroupShare : kMinGroupShare / 3))
      found[group].emplace_back(share, cue);
  }
  for (auto& [key, members] : found) {
    std::ranges::sort(members, std::greater());
    members.resize(std::min(members.size(), kMaxInGroup));
    LexicalFindings::Group group{.kind = key.kind};
    for (const auto& [share, cue] : members) {
      group.texts.push_back(cue.text);
      group.share += all.share(all.of_cue.at(cue));
      group.share_beyond += share;
    }
    if (group.share_beyond >= kMinGroupShare) findings.groups.push_back(std::move(group));
  }
  std::ranges::stable_sort(findings.groups, std::greater(), &LexicalFindings::Group::share);
}

void find_strongest(std::vector<Unit> units, LexicalFindings& findings) {
  std::ranges::stable_sort(units, std::greater(), &Unit::level);
  std::set<std::uint64_t> documents;
  std::set<std::string> words;
  for (Unit& unit : units) {
    if (unit.level == 0 || findings.strongest.size() == kMaxStrongest) break;
    if (!unit.is_word || documents.contains(unit.document)) continue;
    if (!words.insert(unit.cues.front().text).second) continue;
    documents.insert(unit.document);
    findings.strongest.push_back(std::move(unit.written));
  }
}

// Words whose log-odds of being in a document where the feature fires, against one where it is
// silent, are at least some deviations above zero (Monroe et al. 2008, with a flat prior of 1/2).
void find_company(const std::vector<Unit>& units, const Tallies& tallies,
                  LexicalFindings& findings) {
  std::map<std::string, std::array<std::set<std::uint64_t>, 2>> documents_with;
  std::array<std::set<std::uint64_t>, 2> documents;
  for (const Unit& unit : units) {
    const bool fires = tallies.all.documents.contains(unit.document);
    documents[fires].insert(unit.document);
    const std::string& word = unit.cues.front().text;
    if (unit.is_word && word.size() >= 3 && !is_function_word(word))
      documents_with[word][fires].insert(unit.document);
  }
  const auto log_odds = [&](const auto& with, bool fires) {
    const double n = static_cast<double>(with[fires].size());
    return std::log((n + 0.5) / (static_cast<double>(documents[fires].size()) - n + 0.5));
  };
  std::vector<std::pair<double, std::string>> company;
  for (const auto& [word, with] : documents_with) {
    const Tally& tally = tallies.of_cue.at({CueKind::word, word});
    if (with[true].size() <= kMinDocuments || 2 * tally.n_firing > tally.n_units) continue;
    const double variance = 1 / (static_cast<double>(with[true].size()) + 0.5) +
                            1 / (static_cast<double>(with[false].size()) + 0.5);
    const double deviations = (log_odds(with, true) - log_odds(with, false)) / std::sqrt(variance);
    if (deviations >= kCompanyDeviations) company.emplace_back(deviations, word);
  }
  std::ranges::sort(company, std::greater());
  const std::set<std::string> listed = listed_words(findings);
  for (auto& [deviations, word] : company)
    if (!listed.contains(word) && findings.company.size() < kMaxCompany)
      findings.company.push_back(std::move(word));
}

}  // namespace

LexicalFindings find_words(std::span<const Exemplar* const> exemplars, float quantile) {
  const std::vector<Unit> units = units_of(exemplars, quantile);
  const Tallies tallies(units);
  LexicalFindings findings;
  findings.n_documents = tallies.all.documents.size();
  if (findings.n_documents == 0) return findings;
  find_list(units, tallies, findings);
  find_groups(units, tallies, findings);
  find_strongest(units, findings);
  find_company(units, tallies, findings);
  return findings;
}

}  // namespace safesail
