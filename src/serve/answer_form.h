// An answer form, filled from one pass of the model over prompt and form.
//
// A free function; one thread at a time a reader.
#pragma once

#include <cstddef>
#include <vector>

#include "model/choice_reader.h"
#include "model/text_model.h"
#include "serve/completion.h"
#include "serve/completion_request.h"

namespace safesail {

/// The pieces of the request's form, each slot a piece with all choices as its alternatives, and
/// the likeliest as its text.
struct FilledForm {
  std::vector<CompletionPiece> pieces;
  std::size_t n_prompt = 0, n_form = 0;  ///< tokens; the form's were read, not written
  std::size_t n_known = 0;               ///< of the prompt, read for an earlier one
};

/// `reader` is of the same model. An input error when the model's tokenizer does not keep a slot
/// apart.
FilledForm fill_form(const TextModel& model, ChoiceReader& reader,
                     const CompletionRequest& request);

}  // namespace safesail
