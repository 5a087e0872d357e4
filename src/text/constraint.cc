#include "text/constraint.h"

#include <fmt/format.h>

#include "text/rust.h"
#include "text/token_bytes.h"

namespace safesail {
namespace {

constexpr std::string_view kRemedy = "ask for a simpler form, or leave it out";

std::string_view name_of(ConstraintSource::Kind kind) {
  switch (kind) {
    case ConstraintSource::Kind::json_schema:
      return "json_schema";
    case ConstraintSource::Kind::regex:
      return "regex";
    case ConstraintSource::Kind::choice:
      break;
  }
  return "choice";
}

std::vector<std::string> bytes_of(const Tokenizer& tokenizer) {
  std::vector<std::string> tokens(static_cast<std::size_t>(tokenizer.vocab_size()));
  for (std::int32_t id = 0; id < tokenizer.vocab_size(); ++id)
    if (!tokenizer.is_special(id))
      tokens[static_cast<std::size_t>(id)] = token_bytes(tokenizer, id);
  return tokens;
}

/// `lines`: place, problem and remedy, of which the first and the last may be empty.
[[noreturn]] void refuse(const std::string& where, std::string_view lines) {
  const std::size_t first = lines.find('\n'), last = lines.rfind('\n');
  if (first == last) bad_input(where, lines, kRemedy);  // not of the form but of the call
  const std::string_view remedy = lines.substr(last + 1);
  bad_input(fmt::format("{}{}", where, lines.substr(0, first)),
            lines.substr(first + 1, last - first - 1), remedy.empty() ? kRemedy : remedy);
}

}  // namespace

ConstraintVocabulary::ConstraintVocabulary(const Tokenizer& tokenizer,
                                           std::span<const std::int32_t> ends)
    : ConstraintVocabulary(bytes_of(tokenizer), ends) {}

ConstraintVocabulary::ConstraintVocabulary(std::span<const std::string> tokens,
                                           std::span<const std::int32_t> ends) {
  std::string bytes;
  std::vector<std::size_t> token_ends;
  for (const std::string& token : tokens) token_ends.push_back((bytes += token).size());
  vocabulary_.reset(
      rust<TextRsVocabulary*>("tokenizer", "use a model whose answers end with a token",
                              [&](auto* out, auto* error) {
                                return text_rs_vocabulary_new(slice_of(bytes), token_ends.data(),
                                                              token_ends.size(), ends.data(),
                                                              ends.size(), out, error);
                              }),
      text_rs_vocabulary_free);
}

Constraint::Constraint(const ConstraintVocabulary& vocabulary, const ConstraintSource& source,
                       std::string where)
    : where_(std::move(where)), constraint_(nullptr, text_rs_constraint_free) {
  TextRsConstraint* made = nullptr;
  TextRsString error{};
  if (!text_rs_constraint_new(vocabulary.vocabulary_.get(), slice_of(name_of(source.kind)),
                              slice_of(source.text), &made, &error))
    refuse(where_, safesail::take(error));
  constraint_.reset(made);
}

std::span<const std::uint32_t> Constraint::allowed() {
  const auto mask = rust<TextRsMask>(where_, kRemedy, [&](auto* out, auto* error) {
    return text_rs_constraint_mask(constraint_.get(), out, error);
  });
  return {mask.words, mask.n_words};
}

void Constraint::take(std::int32_t id) {
  is_over_ = rust<bool>(where_, kRemedy, [&](auto* out, auto* error) {
    return text_rs_constraint_take(constraint_.get(), id, out, error);
  });
}

}  // namespace safesail
