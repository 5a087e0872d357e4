#include "serve/answer_form.h"

#include <algorithm>
#include <cstdint>
#include <fmt/format.h>
#include <string>
#include <string_view>
#include <utility>

#include "serve/prompt_seams.h"
#include "serve/request_fields.h"

namespace safesail {
namespace {

/// The form with one choice in every slot, and where these stand.
struct Written {
  std::string text;
  std::vector<std::uint32_t> slots;
};

Written write(const std::string& before, const AnswerForm& form, const std::string& choice) {
  Written written{before, {}};
  std::size_t at = 0;
  for (auto slot = form.text.find(form.slot); slot != form.text.npos;
       slot = form.text.find(form.slot, at)) {
    written.text.append(form.text, at, slot - at);
    written.slots.push_back(static_cast<std::uint32_t>(written.text.size()));
    written.text += choice;
    at = slot + form.slot.size();
  }
  written.text.append(form.text, at);
  return written;
}

/// The place of each slot's token; nothing where one is not a token of its own.
std::vector<std::size_t> places_of(const Encoding& encoding, const Written& written,
                                   std::size_t n_bytes) {
  std::vector<std::size_t> places;
  for (std::size_t t = 0, s = 0; t < encoding.ids.size() && s < written.slots.size(); ++t) {
    const std::uint32_t slot = written.slots[s];
    if (encoding.offsets[t] != std::pair(slot, slot + static_cast<std::uint32_t>(n_bytes)))
      continue;
    places.push_back(t);
    ++s;
  }
  if (places.size() != written.slots.size()) places.clear();
  return places;
}

CompletionPiece written_piece(const std::string& text) {
  return {.text = text, .bytes = text};
}

}  // namespace

FilledForm fill_form(const TextModel& model, ChoiceReader& reader,
                     const CompletionRequest& request) {
  const Tokenizer& tokenizer = model.tokenizer;
  const AnswerForm& form = *request.form;
  const std::string prompt = prompt_text(tokenizer, request);
  std::vector<std::int32_t> ids, choices;
  std::vector<std::size_t> places, seams;
  std::size_t n_prompt = 0;
  for (const std::string& choice : form.choices) {
    const Written written = write(prompt, form, choice);
    const Encoding encoding = tokenizer.encode(written.text, false);
    const std::vector<std::size_t> here = places_of(encoding, written, choice.size());
    if (here.empty() || here.front() == 0 || (!places.empty() && here != places))
      refuse_field("answer_form",
                   fmt::format("expected slots that are tokens of their own, got others "
                               "for choice {}",
                               choices.size()),
                   "use other choices, or put them between other marks");
    choices.push_back(encoding.ids[here.front()]);
    if (!places.empty()) continue;
    places = here;
    ids = encoding.ids;
    n_prompt = n_tokens_before(encoding, prompt.size());
    seams = prompt_seams(written.text, encoding, request.messages);
  }
  const std::size_t n_form = ids.size() - n_prompt;
  if (!request.limited_by.empty() && std::cmp_greater(n_form, request.max_tokens))
    refuse_field(request.limited_by,
                 fmt::format("expected at least the {} tokens of 'answer_form', got {}", n_form,
                             request.max_tokens),
                 "allow as many, or leave it out");
  if (const std::int64_t longest = model.model.spec().longest_text(); std::ssize(ids) > longest)
    throw too_long(fmt::format("expected at most {} tokens, got {}", longest, ids.size()));
  const ChoiceReader::Read read = reader.read(ids, seams, places, choices);

  FilledForm filled{.pieces = {}, .n_prompt = n_prompt, .n_form = n_form, .n_known = read.n_known};
  std::size_t at = 0;
  for (const std::vector<float>& logprobs : read.logprobs) {
    const std::size_t slot = form.text.find(form.slot, at);
    if (slot > at) filled.pieces.push_back(written_piece(form.text.substr(at, slot - at)));
    at = slot + form.slot.size();
    CompletionPiece piece;
    for (std::size_t c = 0; c < form.choices.size(); ++c)
      piece.alternatives.push_back({form.choices[c], logprobs[c]});
    std::ranges::stable_sort(piece.alternatives, std::greater{},
                             &CompletionPiece::Alternative::logprob);
    piece.text = piece.bytes = piece.alternatives.front().bytes;
    piece.logprob = piece.alternatives.front().logprob;
    filled.pieces.push_back(std::move(piece));
  }
  if (at < form.text.size()) filled.pieces.push_back(written_piece(form.text.substr(at)));
  return filled;
}

}  // namespace safesail
