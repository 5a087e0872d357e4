#include "model/text_model.h"

#include <utility>

#include "text/end_of_turn.h"

namespace safesail {

TextModel load_text_model(const fs::path& path, const LoadOptions& options, Reporter& reporter) {
  // The tokenizer is small and fast: what is wrong with it is better known before the weights are
  // read.
  Tokenizer tokenizer = Tokenizer::load(path);
  LanguageModel model = LanguageModel::load(path, options, reporter, end_tokens(tokenizer));
  tokenizer.require_fit(model.spec().vocab_size, path.string());
  return {std::move(tokenizer), std::move(model)};
}

}  // namespace safesail
