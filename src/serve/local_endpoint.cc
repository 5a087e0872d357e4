#include "serve/local_endpoint.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <string>
#include <thread>

#include "base/error.h"
#include "base/memory.h"
#include "base/units.h"
#include "formats/model_path.h"
#include "model/identity.h"
#include "model/kv_cache.h"
#include "model/prefix_cache.h"
#include "model/speed.h"
#include "model/text_model.h"
#include "serve/openai.h"

namespace safesail {
namespace {

/// Longer than any answer takes: one that does not come is stopped by Ctrl-C.
constexpr std::chrono::hours kPatience{24};

void require_template(const fs::path& path) {
  const bool has_config = fs::exists(path / "config.json");
  if (const ModelPath kind = kind_of_model(path);
      kind == ModelPath::other || (kind == ModelPath::folder && !has_config))
    bad_input(path.string(), "expected a GGUF file or a folder with a Hugging Face model",
              "name a model, as in --local model.gguf");
  if (!Tokenizer::load(path).chat_template())
    bad_input(path.string(), "expected a model with a chat template, got one without",
              "use a model that was trained to answer (\"instruct\", \"chat\", \"it\")");
}

}  // namespace

struct LocalEndpoint::Impl {
  Impl(const fs::path& path, const LoadOptions& options, int concurrency_, Reporter& reporter)
      : concurrency(concurrency_),
        name(name_of_model(path)),
        hash(ModelIdentity(path).weights()),
        key(ApiKey::drawn()),
        model(load_text_model(path, options, reporter)),
        prefix_bytes(available_memory_bytes() / 8),
        server(model,
               {.port = 0,
                .model_name = name,
                .max_active = static_cast<std::size_t>(concurrency),
                .key = key,
                .prefix_bytes = prefix_bytes},
               reporter),
        thread([this](std::stop_token stop) { server.run(stop); }) {}

  const int concurrency;
  const std::string name, hash;
  const ApiKey key;
  const TextModel model;
  const std::uint64_t prefix_bytes;
  OpenAiServer server;
  std::jthread thread;  // last: it uses the others
};

LocalEndpoint::LocalEndpoint(const fs::path& model, const LoadOptions& options, int concurrency,
                             Reporter& reporter) {
  require_template(model);
  impl_ = std::make_unique<Impl>(model, options, concurrency, reporter);
}

LocalEndpoint::~LocalEndpoint() = default;

EndpointSettings LocalEndpoint::settings(EndpointSettings settings) const {
  settings.base_url = "local:" + impl_->hash;
  settings.address = fmt::format("http://127.0.0.1:{}/v1", impl_->server.port());
  settings.model = impl_->name;
  settings.answer_forms = true;
  settings.timeout = kPatience;
  return settings;
}

const ApiKey& LocalEndpoint::key() const {
  return impl_->key;
}

double LocalEndpoint::state(const CostEstimate& estimate, Reporter& reporter) const {
  if (estimate.requests == 0) return 0;
  const LanguageModel& model = impl_->model.model;
  const auto at_once = static_cast<int>(
      std::min<std::uint64_t>(estimate.requests, static_cast<std::uint64_t>(impl_->concurrency)));
  const std::uint64_t a_token = KvCache::bytes_per_token(model);
  const std::uint64_t answers = static_cast<std::uint64_t>(at_once) * estimate.longest * a_token +
                                model.forward_bytes(PrefixCache::kPiece, 0, false);
  const std::uint64_t openings = std::min(impl_->prefix_bytes, estimate.usage.prompt * a_token);
  if (model.options().device == "cpu")
    state_memory("the model and the program",
                 {{answers, fmt::format("{} answers at once", at_once)},
                  {openings, "what prompts have in common"}},
                 "the answers", "lower --concurrency", reporter);
  const ModelSpeed speed = measure_speed(model, at_once);
  const auto n_read =
      static_cast<double>(estimate.usage.total() - estimate.written - estimate.shared);
  const double seconds =
      n_read / speed.read + static_cast<double>(estimate.written) / speed.written;
  reporter.note(fmt::format(
      "time: about {} (measured: {} tokens/s read, {} written by {} answers at once; what prompts "
      "have in common is read once)",
      human_duration(seconds), human_count(speed.read), human_count(speed.written), at_once));
  return seconds;
}

}  // namespace safesail
