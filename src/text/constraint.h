// Answers of a given form: which tokens may come next, so that the text becomes JSON of a schema,
// one of a few choices, or a match of a regular expression (llguidance, behind text_rs.h).
//
// What asks for a form is hostile: what is built from it is bounded in size, in steps a token and
// in memory, and what cannot be held is an input error that names it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "text/tokenizer.h"

struct TextRsVocabulary;  // text_rs.h
struct TextRsConstraint;

namespace safesail {

/// The tokens of a tokenizer as the bytes that they write. Immutable; any number of constraints, in
/// several threads, may share it.
class ConstraintVocabulary {
 public:
  /// Special tokens write nothing: no answer holds one. `ends`: the tokens that end an answer.
  ConstraintVocabulary(const Tokenizer& tokenizer, std::span<const std::int32_t> ends);
  /// `tokens`: the bytes of each id; an empty one is never allowed.
  ConstraintVocabulary(std::span<const std::string> tokens, std::span<const std::int32_t> ends);

 private:
  friend class Constraint;
  std::shared_ptr<const TextRsVocabulary> vocabulary_;
};

struct ConstraintSource {
  enum class Kind { json_schema, regex, choice };
  Kind kind = Kind::json_schema;
  /// A JSON schema (an object); an expression that the whole answer matches; a JSON list of texts.
  /// The keys of an object are written in the order of its schema.
  std::string text;
};

/// A form and how far one answer has come in it. One thread at a time.
class Constraint {
 public:
  /// An input error for a form that cannot be held, at `where` or, where its place in the source is
  /// known, at `where` and a JSON pointer: "schema#/properties/age".
  Constraint(const ConstraintVocabulary& vocabulary, const ConstraintSource& source,
             std::string where);

  /// The tokens that may come next, a bit an id; end tokens where the answer may end. Until the
  /// next call. An input error when the form has become too complex to go on.
  std::span<const std::uint32_t> allowed();
  /// Goes on with a token that is allowed.
  void take(std::int32_t id);
  /// Nothing but an end token may follow.
  bool is_over() const { return is_over_; }

 private:
  std::string where_;
  std::unique_ptr<TextRsConstraint, void (*)(TextRsConstraint*)> constraint_;
  bool is_over_ = false;
};

}  // namespace safesail
