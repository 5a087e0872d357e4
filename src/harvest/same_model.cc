#include "harvest/same_model.h"

#include <fmt/format.h>

#include "base/error.h"
#include "formats/json.h"

namespace safesail {

void require_same_model(const SaeProvenance& provenance, const ModelIdentity& model,
                        const std::string& sae) {
  const auto differ = [](const std::string& stated, const auto& found) {
    return !stated.empty() && stated != found();
  };
  const char* what = differ(provenance.model_hash, [&] { return model.weights(); }) ? "model"
                     : differ(provenance.tokenizer_hash, [&] { return model.tokenizer(); })
                         ? "tokenizer"
                         : nullptr;
  if (what == nullptr) return;
  bad_input(
      sae,
      fmt::format("it was trained on another {} ({}) than {}", what,
                  printable(provenance.model_name), model.path().string()),
      "name the model that it was trained on; or --any-model if they are to meet all the same");
}

}  // namespace safesail
