#include "select/pairs.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "formats/byte_stream.h"
#include "formats/json.h"
#include "formats/line_reader.h"

namespace safesail {
namespace {

constexpr std::size_t kMaxLineBytes = std::size_t{1} << 20;

std::string text_of(const JsonObject& line, std::string_view key) {
  std::string text = line.get<std::string>(key);
  if (text.empty() || !is_utf8(text))
    bad_input(line.where(), fmt::format("\"{}\" is empty or not UTF-8", key), "give it a text");
  return text;
}

ContrastPair parse_pair(const JsonObject& line) {
  ContrastPair pair{.id = text_of(line, "pair"),
                    .domain = text_of(line, "domain"),
                    .subclass = text_of(line, "subclass"),
                    .concept_ = text_of(line, "concept"),
                    .language = text_of(line, "language"),
                    .text = text_of(line, "text"),
                    .counterpart = text_of(line, "counterpart"),
                    .source = line.get_or<std::string>("source", "")};
  if (pair.text == pair.counterpart)
    bad_input(line.where(), "text and counterpart are equal", "swap the concept in one of them");
  return pair;
}

/// Adds pair number `i` to the concept of this name, made when it is the first.
void add(std::vector<Concept>& concepts, const std::string& subclass, const ContrastPair& pair,
         std::size_t i) {
  const std::string name = subclass.empty() ? pair.domain : pair.domain + "/" + subclass;
  auto found = std::ranges::find_if(concepts, [&](const Concept& concept_) {
    return concept_.name == name && concept_.language == pair.language;
  });
  if (found == concepts.end())
    found = concepts.insert(concepts.end(), {name, pair.domain, subclass, pair.language, {}});
  found->pairs.push_back(i);
}

}  // namespace

std::vector<ContrastPair> read_pairs(const std::vector<fs::path>& files) {
  std::vector<ContrastPair> pairs;
  std::set<std::pair<std::string, std::string>> known;
  for (const fs::path& file : files) {
    LineReader lines(ByteStream(file), kMaxLineBytes);
    while (const auto line = lines.next()) {
      if (line->empty()) continue;
      const Json json = parse_json(*line, lines.where(), {.max_depth = 4, .unique_keys = true});
      pairs.push_back(parse_pair(JsonObject(json, lines.where())));
      if (!known.emplace(pairs.back().language, pairs.back().id).second)
        bad_input(lines.where(), fmt::format("pair {} stands twice", printable(pairs.back().id)),
                  "give each pair of a language its own id");
    }
  }
  if (pairs.empty()) bad_input("pairs", "expected at least one pair", "name a file with pairs");
  return pairs;
}

std::vector<Concept> concepts_of(const std::vector<ContrastPair>& pairs,
                                 std::span<const std::size_t> among, std::size_t min_pairs,
                                 std::vector<std::string>& left_out) {
  std::vector<Concept> subclasses, domains;
  for (const std::size_t i : among) {
    add(subclasses, pairs[i].subclass, pairs[i], i);
    add(domains, "", pairs[i], i);
  }
  std::vector<Concept> concepts;
  for (std::vector<Concept>* group : {&subclasses, &domains})
    for (Concept& concept_ : *group)
      if (concept_.pairs.size() >= min_pairs)
        concepts.push_back(std::move(concept_));
      else
        left_out.push_back(fmt::format("{} ({}): {} pairs", concept_.name, concept_.language,
                                       concept_.pairs.size()));
  return concepts;
}

std::vector<std::size_t> rivals_of(const std::vector<Concept>& concepts, std::size_t i) {
  const Concept& concept_ = concepts[i];
  std::vector<std::size_t> rivals;
  for (std::size_t c = 0; c < concepts.size(); ++c)
    if (c != i && concepts[c].language == concept_.language &&
        concepts[c].subclass.empty() == concept_.subclass.empty())
      rivals.push_back(c);
  return rivals;
}

}  // namespace safesail
