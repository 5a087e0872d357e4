// Models that are damaged, impossible or unknown, and requests that make no sense: one clear error
// each, which says what is wrong and names the remedy.
#include <ATen/ATen.h>
#include <fstream>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "formats/json.h"
#include "model/device.h"
#include "model/golden_testing.h"
#include "model/kv_cache.h"

namespace safesail {
namespace {

using ::testing::HasSubstr;

/// The input error that `body` throws; a test failure when it throws none or another.
std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::input) << error.what();
    EXPECT_FALSE(error.remedy().empty());
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

/// A copy of a golden model that a test may damage.
class BadModels : public ::testing::Test {
 public:
  ~BadModels() override { fs::remove_all(folder_); }

 protected:
  BadModels()
      : folder_(fs::temp_directory_path() / ("safesail_bad_model." + std::to_string(::getpid()))) {
    use("llama");
  }

  void use(const std::string& family) {
    family_ = family;
    fs::remove_all(folder_);
    fs::copy(testing::data_folder() / family, folder_);
    fs::permissions(folder_ / "model.safetensors", fs::perms::owner_write, fs::perm_options::add);
  }

  std::string load_error() const {
    return error_of([&] { testing::load_model(folder_); });
  }

  std::string error_with(const std::string& key, const Json& value) {
    Json config = read_json(testing::data_folder() / family_ / "config.json");
    if (value.is_discarded())
      config.erase(key);
    else
      config[key] = value;
    write_file(folder_ / "config.json", config.dump());
    return load_error();
  }

  /// Rewrites the weights; `change` may edit the list of tensors.
  std::string error_with_tensors(const std::function<void(std::vector<NamedTensor>&)>& change) {
    const SafetensorsFile file(testing::data_folder() / "llama" / "model.safetensors");
    std::vector<NamedTensor> tensors;
    for (const auto& [name, view] : file.tensors()) tensors.push_back({name, view});
    change(tensors);
    write_safetensors(folder_ / "model.safetensors", tensors);
    return load_error();
  }

  std::string error_with_gguf(const std::string& from, const std::string& to) {
    std::string bytes = read_file(testing::data_folder() / "llama" / "model.gguf", 1 << 20);
    EXPECT_EQ(from.size(), to.size());
    for (std::size_t at = bytes.find(from); at != std::string::npos; at = bytes.find(from, at + 1))
      bytes.replace(at, from.size(), to);
    write_file(folder_ / "patched.gguf", bytes);
    return error_of([&] { testing::load_model(folder_ / "patched.gguf"); });
  }

  fs::path folder_;
  std::string family_;
};

NamedTensor& tensor_named(std::vector<NamedTensor>& tensors, std::string_view name) {
  return *std::find_if(tensors.begin(), tensors.end(),
                       [&](const auto& t) { return t.name == name; });
}

TEST_F(BadModels, UnknownFamilyListsTheKnownOnes) {
  const std::string text = error_with("model_type", "mamba");
  EXPECT_THAT(text, HasSubstr("mamba"));
  for (const char* known :
       {"llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "gpt_neox", "gpt2"})
    EXPECT_THAT(text, HasSubstr(known));
  const std::string gguf = error_with_gguf("llama", "mamba");
  EXPECT_THAT(gguf, HasSubstr("mamba"));
  EXPECT_THAT(gguf, HasSubstr("gptneox"));
}

TEST_F(BadModels, ConfigThatIsMissingOrBroken) {
  write_file(folder_ / "config.json", "{\"model_type\": \"llama\", ");
  EXPECT_THAT(load_error(), HasSubstr("config.json"));
  write_file(folder_ / "config.json", "[1, 2]");
  EXPECT_THAT(load_error(), HasSubstr("config.json"));
  fs::remove(folder_ / "config.json");
  EXPECT_THAT(load_error(), HasSubstr("config.json"));
  EXPECT_THAT(error_with("hidden_size", Json(Json::value_t::discarded)), HasSubstr("hidden_size"));
}

TEST_F(BadModels, ImpossibleSizes) {
  EXPECT_THAT(error_with("num_hidden_layers", 1000000000), HasSubstr("1000000000"));
  EXPECT_THAT(error_with("num_hidden_layers", -1), HasSubstr("-1"));
  EXPECT_THAT(error_with("num_hidden_layers", "two"), HasSubstr("num_hidden_layers"));
  EXPECT_THAT(error_with("num_hidden_layers", 3), HasSubstr("layers.2"));
  EXPECT_THAT(error_with("num_attention_heads", 0), HasSubstr("num_attention_heads"));
  EXPECT_THAT(error_with("num_key_value_heads", 3), HasSubstr("divide"));
  EXPECT_THAT(error_with("num_key_value_heads", -2), HasSubstr("-2"));
  EXPECT_THAT(error_with("head_dim", 1000000), HasSubstr("1000000"));
  EXPECT_THAT(error_with("intermediate_size", -64), HasSubstr("-64"));
  EXPECT_THAT(error_with("hidden_size", std::int64_t{1} << 40), HasSubstr("hidden_size"));
  EXPECT_THAT(error_with("vocab_size", 200), HasSubstr("[200, 32]"));
  EXPECT_THAT(error_with("rms_norm_eps", -1.0), HasSubstr("epsilon"));
  use("mistral");
  EXPECT_THAT(error_with("sliding_window", -7), HasSubstr("window"));
  use("gemma2");
  EXPECT_THAT(error_with("layer_types", Json::array({"full_attention"})), HasSubstr("layer_types"));
  EXPECT_THAT(error_with("layer_types", Json::array({"full_attention", "linear_attention"})),
              HasSubstr("linear_attention"));
  EXPECT_THAT(error_with("query_pre_attn_scalar", 0), HasSubstr("attention scale"));
  // The layout of its weights has keys for every head: with fewer it would be read beyond its end.
  use("gpt_neox");
  EXPECT_THAT(error_with("num_key_value_heads", 1), HasSubstr("num_key_value_heads"));
  use("gpt2");
  EXPECT_THAT(error_with("n_head", 7), HasSubstr("divides"));
  EXPECT_THAT(error_with("scale_attn_by_inverse_layer_idx", true),
              HasSubstr("scale_attn_by_inverse"));
}

TEST_F(BadModels, UnknownRotationsAndActivations) {
  EXPECT_THAT(
      error_with("rope_parameters", {{"rope_type", "yarn"}, {"rope_theta", 1e4}, {"factor", 2.0}}),
      HasSubstr("yarn"));
  EXPECT_THAT(error_with("rope_parameters", {{"rope_type", "linear"}, {"rope_theta", 1e4}}),
              HasSubstr("factor"));
  EXPECT_THAT(error_with("rope_parameters", {{"rope_type", "default"}, {"rope_theta", -1.0}}),
              HasSubstr("rope_theta"));
  EXPECT_THAT(error_with("hidden_act", "relu2"), HasSubstr("relu2"));
}

TEST_F(BadModels, MissingTensor) {
  EXPECT_THAT(error_with_tensors([](auto& tensors) {
                std::erase_if(tensors, [](const auto& t) {
                  return t.name == "model.layers.1.mlp.up_proj.weight";
                });
              }),
              HasSubstr("model.layers.1.mlp.up_proj.weight"));
  EXPECT_THAT(error_with_tensors([](auto& tensors) {
                std::erase_if(tensors, [](const auto& t) { return t.name == "lm_head.weight"; });
              }),
              HasSubstr("lm_head.weight"));
  EXPECT_THAT(error_with_tensors([](auto& tensors) {
                std::erase_if(tensors,
                              [](const auto& t) { return t.name == "model.embed_tokens.weight"; });
              }),
              HasSubstr("embed_tokens"));
  EXPECT_THAT(error_with_gguf("blk.1.ffn_up", "blk.1.ffn_uq"), HasSubstr("blk.1.ffn_up.weight"));
}

TEST_F(BadModels, WrongShapeOrType) {
  EXPECT_THAT(error_with_tensors([](auto& tensors) {
                TensorView& view =
                    tensor_named(tensors, "model.layers.0.self_attn.q_proj.weight").tensor;
                std::swap(view.shape[0], view.shape[1]);
              }),
              HasSubstr("[32, 64]"));
  EXPECT_THAT(error_with_tensors([](auto& tensors) {
                tensor_named(tensors, "model.norm.weight").tensor.dtype = DType::i32;
              }),
              HasSubstr("I32"));
}

class BadRequests : public ::testing::Test {
 protected:
  BadRequests() : model_(testing::load_model(testing::data_folder() / "gpt2")) {}

  std::string error_with(const ForwardRequest& request) const {
    return error_of([&] { model_.forward(request); });
  }

  LanguageModel model_;
  const std::vector<std::int32_t> ids_{1, 2, 3}, starts_{0, 3};
  const std::vector<Site> read_{{SiteKind::mlp_out, 0}};
};

TEST_F(BadRequests, IdsAndStarts) {
  for (const std::int32_t id : {-1, 199}) {
    const std::vector<std::int32_t> ids{1, id, 3};
    EXPECT_THAT(error_with({.ids = ids, .starts = starts_, .read = read_}),
                HasSubstr(std::to_string(id)));
  }
  for (const std::vector<std::int32_t>& starts :
       {std::vector<std::int32_t>{}, {0}, {0, 2}, {1, 3}, {0, 4}, {0, 2, 2, 3}, {0, 2, 1, 3}})
    EXPECT_THAT(error_with({.ids = ids_, .starts = starts, .read = read_}), HasSubstr("starts"));
  EXPECT_THAT(error_with({.ids = {}, .starts = starts_, .read = read_}),
              HasSubstr("at least one token"));
}

TEST_F(BadRequests, SitesPastTheLastLayer) {
  EXPECT_THAT(error_with({.ids = ids_, .starts = starts_, .read = {{SiteKind::mlp_out, 2}}}),
              HasSubstr("0 to 1"));
  EXPECT_THAT(error_with({.ids = ids_,
                          .starts = starts_,
                          .edits = {{{SiteKind::mlp_out, -1}, [](at::Tensor&) {}}}}),
              HasSubstr("mlp_out.-1"));
}

TEST_F(BadRequests, EditsThatChangeTheShapeOrType) {
  const auto with = [&](std::function<void(at::Tensor&)> edit) {
    return error_with(
        {.ids = ids_, .starts = starts_, .read = read_, .edits = {{read_[0], std::move(edit)}}});
  };
  EXPECT_THAT(with([](at::Tensor& v) { v = v.narrow(0, 0, 1); }), HasSubstr("mlp_out.0"));
  EXPECT_THAT(with([](at::Tensor& v) { v = v.to(at::kDouble); }), HasSubstr("mlp_out.0"));
  EXPECT_THAT(with([](at::Tensor& v) { v = at::Tensor(); }), HasSubstr("mlp_out.0"));
}

TEST_F(BadRequests, SequencesLongerThanLearnedPositions) {
  const std::vector<std::int32_t> ids(65, 1), starts{0, 65};
  EXPECT_THAT(error_with({.ids = ids, .starts = starts, .read = read_}), HasSubstr("at most 64"));
  KvCache cache(model_, 1, 64);
  const std::vector<std::int32_t> most(64, 1), most_starts{0, 64}, one{1}, one_start{0, 1};
  model_.forward({.ids = most, .starts = most_starts, .cache = &cache});
  EXPECT_THAT(error_with({.ids = one, .starts = one_start, .cache = &cache}),
              HasSubstr("at most 64"));
}

TEST_F(BadRequests, CacheOfAnotherSize) {
  KvCache cache(model_, 2, 8);
  EXPECT_THAT(error_with({.ids = ids_, .starts = starts_, .cache = &cache}), HasSubstr("cache"));
}

TEST(Devices, UnknownNamesAreRefused) {
  for (const char* name : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "CPU"})
    EXPECT_THAT(error_of([&] { open_device(name); }), HasSubstr("expected cpu, cuda or cuda:N"))
        << name;
  EXPECT_TRUE(open_device("cpu").is_cpu());
}

TEST(Devices, MissingCudaIsTheMachinesFault) {
  try {
    open_device("cuda:99");  // no machine has a hundred GPUs
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::environment);
    EXPECT_THAT(error.remedy(), HasSubstr("--device cpu"));
  }
}

}  // namespace
}  // namespace safesail
