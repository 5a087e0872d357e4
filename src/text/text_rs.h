// The C border of the Rust half of this room (src/text/rust): tokenizers, templates, constraints,
// parquet; and t-SNE, which the atlas borrows, so that the program links one Rust library.
//
// Every function that can fail returns true and writes `*out`, or returns false and writes
// `*error`; the caller owns what was written and frees it with the function named beside it. Slices
// are lent for the call only. Objects behind `const` pointers may be used from several threads.
// Panics are caught and come back as errors.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

struct TextRsSlice {
  const char* data;
  std::size_t size;
};

/// Free with text_rs_string_free.
struct TextRsString {
  char* data;
  std::size_t size;
};
void text_rs_string_free(TextRsString string);

struct TextRsTokenizer;
/// `json`: a tokenizer.json. `settings`: {"added_tokens": [{"content", "special", "lstrip",
/// "rstrip", "single_word", "normalized"}], "wrap": null or {"bos": text or null, "eos": text or
/// null}}; tokens are added where missing, "wrap" replaces the post-processor. Free with
/// text_rs_tokenizer_free.
bool text_rs_tokenizer_new(TextRsSlice json, TextRsSlice settings, TextRsTokenizer** out,
                           TextRsString* error);
void text_rs_tokenizer_free(TextRsTokenizer* tokenizer);
/// A byte for each id from 0 to the last: 1 for special tokens.
bool text_rs_tokenizer_special(const TextRsTokenizer* tokenizer, TextRsString* out,
                               TextRsString* error);

/// Texts encoded end to end; text i is tokens [ends[i - 1], ends[i]). `offsets` holds begin and end
/// of each token in bytes of its text, or nothing. Free with text_rs_tokens_free.
struct TextRsTokens {
  std::int32_t* ids;
  std::size_t n_tokens;
  std::uint32_t* offsets;
  std::size_t n_offsets;
  std::size_t* ends;
  std::size_t n_texts;
};
bool text_rs_encode(const TextRsTokenizer* tokenizer, const TextRsSlice* texts, std::size_t n_texts,
                    bool add_special, bool with_offsets, TextRsTokens* out, TextRsString* error);
void text_rs_tokens_free(TextRsTokens tokens);

bool text_rs_decode(const TextRsTokenizer* tokenizer, const std::int32_t* ids, std::size_t n_ids,
                    bool skip_special, TextRsString* out, TextRsString* error);
bool text_rs_token_text(const TextRsTokenizer* tokenizer, std::int32_t id, TextRsString* out,
                        TextRsString* error);
/// -1 when there is no such token.
bool text_rs_token_id(const TextRsTokenizer* tokenizer, TextRsSlice token, std::int32_t* out,
                      TextRsString* error);

struct TextRsTemplate;
/// Free with text_rs_template_free.
bool text_rs_template_new(TextRsSlice source, TextRsTemplate** out, TextRsString* error);
void text_rs_template_free(TextRsTemplate* chat_template);
/// `context_json`: an object, the template's variables. Bounded in steps and in memory.
bool text_rs_template_render(const TextRsTemplate* chat_template, TextRsSlice context_json,
                             TextRsString* out, TextRsString* error);

struct TextRsVocabulary;
/// What each token writes, laid end to end: token i is bytes[ends[i - 1]..ends[i]), nothing where
/// no answer may hold it. `end_tokens`: those that end an answer, at least one. Free with
/// text_rs_vocabulary_free.
bool text_rs_vocabulary_new(TextRsSlice bytes, const std::size_t* ends, std::size_t n_tokens,
                            const std::int32_t* end_tokens, std::size_t n_end_tokens,
                            TextRsVocabulary** out, TextRsString* error);
void text_rs_vocabulary_free(TextRsVocabulary* vocabulary);

struct TextRsConstraint;
/// `kind`: "json_schema", "regex", or "choice" (a JSON list of texts). Bounded in memory. Free with
/// text_rs_constraint_free, before the vocabulary or after it. Used by one thread at a time. The
/// error is three lines: the place in `source` as "#/a/b", the problem, the remedy; the first and
/// the last may be empty.
bool text_rs_constraint_new(const TextRsVocabulary* vocabulary, TextRsSlice kind,
                            TextRsSlice source, TextRsConstraint** out, TextRsString* error);
void text_rs_constraint_free(TextRsConstraint* constraint);
/// Bits of tokens, 32 a word; lent until the next call on their constraint.
struct TextRsMask {
  const std::uint32_t* words;
  std::size_t n_words;
};
/// The tokens that may come next, end tokens where the answer may end. Bounded in steps.
bool text_rs_constraint_mask(TextRsConstraint* constraint, TextRsMask* out, TextRsString* error);
/// Goes on with a token of the mask; gives whether nothing but an end token may follow.
bool text_rs_constraint_take(TextRsConstraint* constraint, std::int32_t token, bool* out,
                             TextRsString* error);

struct TextRsParquet;
/// Opens the column `field`, or `other_field` where the file has no `field`. Free with
/// text_rs_parquet_free. Used by one thread.
bool text_rs_parquet_open(TextRsSlice path, TextRsSlice field, TextRsSlice other_field,
                          TextRsParquet** out, TextRsString* error);
void text_rs_parquet_free(TextRsParquet* rows);

/// Rows laid end to end: row i is data[ends[i - 1]..ends[i]). Free with text_rs_rows_free.
struct TextRsRows {
  TextRsString data;
  std::size_t* ends;
  std::size_t n_rows;
  std::uint8_t* kinds;  ///< 0: null or not UTF-8, 1: text, 2: JSON of a list or a struct
  std::size_t n_kinds;
};
/// At most `max_rows` rows; none at the end.
bool text_rs_parquet_next(TextRsParquet* rows, std::size_t max_rows, TextRsRows* out,
                          TextRsString* error);
void text_rs_rows_free(TextRsRows rows);

/// t-SNE of `n` >= 4 points [n, d] in the plane, from the positions `start` [n, 2], into `out` [n,
/// 2]. The same input gives the same output with any number of threads.
bool text_rs_tsne(const float* points, std::size_t n, std::size_t d, const float* start, float* out,
                  TextRsString* error);

}  // extern "C"
