#include "model/language_model.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <c10/core/InferenceMode.h>

#include "base/error.h"
#include "model/decoder.h"
#include "model/device.h"
#include "model/families/family.h"
#include "model/ops.h"
#include "model/weights.h"

namespace safesail {

struct LanguageModel::Impl {
  ModelSpec spec;
  LoadOptions options;
  Weights weights;
};

namespace {

constexpr std::uint64_t kMaxConfigBytes = std::uint64_t{16} << 20;

/// Bytes of logits that are made at a time.
constexpr std::int64_t kLogitTileBytes = std::int64_t{64} << 20;

struct OpenModel {
  ModelPlan plan;
  WeightSource source;
};

OpenModel open_folder(const fs::path& folder) {
  const fs::path config = folder / "config.json";
  if (!fs::exists(config))
    bad_input(folder.string(), "expected a model folder with a config.json, found none",
              "name a Hugging Face model folder or a .gguf file");
  ModelPlan plan = plan_from_config(read_file(config, kMaxConfigBytes), config.string());
  if (const fs::path generation = folder / "generation_config.json"; fs::exists(generation)) {
    const Json parsed = read_json(generation);
    std::vector<std::int32_t> eos =
        read_ids(JsonObject(parsed, generation.string()), "eos_token_id");
    if (!eos.empty()) plan.spec.eos = std::move(eos);
  }
  return {std::move(plan), WeightSource(SafetensorsFolder(folder), folder.string())};
}

OpenModel open_gguf(const fs::path& path) {
  GgufFile file(path);
  ModelPlan plan = plan_from_gguf(file);
  return {std::move(plan), WeightSource(std::move(file))};
}

}  // namespace

LanguageModel::LanguageModel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LanguageModel::~LanguageModel() = default;
LanguageModel::LanguageModel(LanguageModel&&) noexcept = default;

LanguageModel LanguageModel::load(const fs::path& path, const LoadOptions& options,
                                  Reporter& reporter) {
  const c10::InferenceMode inference;
  const at::Device device = open_device(options.device);
  const OpenModel model = fs::is_directory(path) ? open_folder(path) : open_gguf(path);
  auto impl = std::make_unique<Impl>();
  impl->spec = model.plan.spec;
  impl->options = options;
  impl->weights = load_weights(model.plan, model.source,
                               options.dtype == ComputeType::bf16 ? at::kBFloat16 : at::kFloat,
                               device, reporter);
  return LanguageModel(std::move(impl));
}

const ModelSpec& LanguageModel::spec() const {
  return impl_->spec;
}
const LoadOptions& LanguageModel::options() const {
  return impl_->options;
}
std::uint64_t LanguageModel::weight_bytes() const {
  return impl_->weights.bytes;
}

std::uint64_t LanguageModel::forward_bytes(std::int64_t n_tokens, std::size_t n_sites,
                                           bool losses) const {
  return pass_bytes(impl_->spec, impl_->options.dtype == ComputeType::bf16 ? 2 : 4, n_tokens,
                    static_cast<std::int64_t>(n_sites)) +
         // A tile in the model's dtype, and what becomes of it in f32.
         (losses ? std::uint64_t{3} * kLogitTileBytes : 0);
}

namespace {

/// Calls body(first, tile) with [n, vocab] logits of hidden[first, first + n), in the model's dtype
/// and without the cap.
template <class Body>
void for_logit_tiles(const Weights& weights, const at::Tensor& hidden, const Body& body) {
  const Linear& head = weights.head;
  const std::int64_t vocab = head.weight.size(0);
  const std::int64_t tile = std::max<std::int64_t>(
      16, kLogitTileBytes / (vocab * static_cast<std::int64_t>(hidden.element_size())));
  const at::Tensor buffer = at::empty({std::min(tile, hidden.size(0)), vocab}, hidden.options());
  for (std::int64_t first = 0; first < hidden.size(0); first += tile) {
    const std::int64_t n = std::min(tile, hidden.size(0) - first);
    at::Tensor out = buffer.narrow(0, 0, n);
    if (head.bias.defined())
      at::addmm_out(out, head.bias, hidden.narrow(0, first, n), head.weight.t());
    else
      at::mm_out(out, hidden.narrow(0, first, n), head.weight.t());
    body(first, out);
  }
}

/// Index of the last token of each sequence.
at::Tensor last_rows(std::span<const std::int32_t> starts) {
  std::vector<std::int64_t> rows;
  for (std::size_t s = 1; s < starts.size(); ++s) rows.push_back(starts[s] - 1);
  return at::tensor(rows, at::kLong);
}

}  // namespace

ForwardResult LanguageModel::forward(const ForwardRequest& request) const {
  const c10::InferenceMode inference;
  const bool wants_logits = request.logits != ForwardRequest::Logits::none;
  DecoderOutput output =
      decode(impl_->spec, impl_->weights, request, wants_logits || request.cache != nullptr);
  ForwardResult result{std::move(output.sites), nullptr};
  if (!wants_logits) return result;

  at::Tensor hidden = output.hidden;
  if (request.logits == ForwardRequest::Logits::last_of_each)
    hidden = hidden.index_select(0, last_rows(request.starts).to(hidden.device()));
  at::Tensor logits =
      at::empty({hidden.size(0), impl_->spec.vocab_size}, hidden.options().dtype(at::kFloat));
  for_logit_tiles(impl_->weights, hidden, [&](std::int64_t first, const at::Tensor& tile) {
    logits.narrow(0, first, tile.size(0)).copy_(finish_logits(impl_->spec, tile));
  });
  result.logits = std::make_unique<at::Tensor>(std::move(logits));
  return result;
}

at::Tensor LanguageModel::next_token_loss(const ForwardRequest& request) const {
  const c10::InferenceMode inference;
  const DecoderOutput output = decode(impl_->spec, impl_->weights, request, true);
  std::vector<std::int32_t> next(request.ids.begin() + 1, request.ids.end());
  next.push_back(-1);
  for (const std::int32_t start : request.starts.subspan(1))
    next[static_cast<std::size_t>(start) - 1] = -1;
  const at::Tensor targets = at::tensor(next, at::kInt).to(output.hidden.device());
  at::Tensor loss = at::empty({output.hidden.size(0)}, output.hidden.options().dtype(at::kFloat));
  for_logit_tiles(impl_->weights, output.hidden, [&](std::int64_t first, const at::Tensor& tile) {
    loss.narrow(0, first, tile.size(0))
        .copy_(losses(impl_->spec, tile, targets.narrow(0, first, tile.size(0))));
  });
  return loss;
}

}  // namespace safesail
