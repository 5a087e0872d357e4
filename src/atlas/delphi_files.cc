#include "atlas/delphi_files.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <fmt/format.h>

#include "atlas/judge.h"
#include "atlas/natural_number.h"
#include "atlas/small_float.h"
#include "base/error.h"
#include "base/half.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "interpret/statistics.h"
#include "model/site_names.h"

namespace safesail::delphi {
namespace {

constexpr const char* kRemedy = "run delphi again for this latent";
constexpr std::string_view kLatent = "_latent", kText = ".txt";
/// What delphi takes for an explanation when it could not read the answer.
constexpr const char* kUnparsable = "Explanation could not be parsed.";
constexpr std::int32_t kMaxLatents = 1 << 24;

template <class T>
T element(const TensorView& tensor, std::size_t i) {
  T value;
  std::memcpy(&value, tensor.bytes.data() + i * sizeof(T), sizeof(T));
  return value;
}

std::uint64_t unsigned_element(const TensorView& tensor, std::size_t i) {
  return tensor.dtype == DType::u16   ? element<std::uint16_t>(tensor, i)
         : tensor.dtype == DType::u32 ? element<std::uint32_t>(tensor, i)
                                      : element<std::uint64_t>(tensor, i);
}

/// 1 or 0; nothing for an answer that could not be read, which delphi writes as null or -1.
std::optional<bool> answer_of(const Json& row) {
  const auto found = row.find("prediction");
  if (found == row.end() || found->is_null()) return std::nullopt;
  if (found->is_boolean()) return found->get<bool>();
  if (found->is_number() && found->get<double>() >= 0) return found->get<double>() >= 0.5;
  return std::nullopt;
}

Asked asked_of(const JsonObject& row) {
  const auto tokens = row.get<std::vector<std::string>>("str_tokens");
  const auto values = row.get<std::vector<double>>("activations");
  if (tokens.size() != values.size())
    bad_input(row.where(),
              fmt::format("expected as many activations as str_tokens, got {} and {}",
                          values.size(), tokens.size()),
              kRemedy);
  Asked asked{.row = row.json()};
  const bool activating = row.get<bool>("activating");
  asked.exemplar.use = Use::test;
  asked.exemplar.kind = activating ? WindowKind::level : WindowKind::silent;
  Window& window = asked.exemplar.window;
  window.starts = {0};
  bool exact = true;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    window.ids.push_back(-1);
    window.text += tokens[i];
    window.starts.push_back(static_cast<std::uint32_t>(window.text.size()));
    window.activation.push_back(float_of(values[i], row.where()));
    exact = exact && static_cast<double>(window.activation.back()) == values[i];
  }
  asked.row.erase("str_tokens");
  if (exact) asked.row.erase("activations");  // the window holds them
  return asked;
}

Score classification(const std::vector<Asked>& asked, const std::string& where) {
  Score score;
  std::vector<double> predicted, probability, truth, truth_of_probability;
  for (const Asked& one : asked) {
    const JsonObject row(one.row, where);
    const double is_active = row.get<bool>("activating") ? 1 : 0;
    const auto answer = answer_of(one.row);
    if (!answer) {
      ++score.n_unparsable;
      continue;
    }
    predicted.push_back(*answer ? 1 : 0);
    truth.push_back(is_active);
    if (const auto p = row.find<double>("probability")) {
      probability.push_back(*p);
      truth_of_probability.push_back(is_active);
    }
  }
  score.value = balanced_accuracy(predicted, truth);
  const double area = auroc(probability, truth_of_probability);
  Json details = {{"balanced_accuracy", nullptr}, {"auroc", nullptr}};
  if (std::isfinite(score.value)) details["balanced_accuracy"] = score.value;
  if (std::isfinite(area)) details["auroc"] = area;
  score.details = dump_json(details);
  score.n_windows = score.n_units = static_cast<std::int64_t>(asked.size());
  return score;
}

}  // namespace

std::vector<LatentFile> latent_files(const fs::path& folder) {
  std::vector<LatentFile> files;
  if (!fs::is_directory(folder)) return files;
  for (const fs::directory_entry& item : fs::directory_iterator(folder)) {
    const std::string name = item.path().filename().string();
    const std::size_t cut = name.rfind(kLatent);
    if (!item.is_regular_file() || !name.ends_with(kText) || cut == std::string::npos) continue;
    const std::size_t begin = cut + kLatent.size();
    const auto latent =
        natural_number(std::string_view(name).substr(begin, name.size() - kText.size() - begin));
    if (latent) files.push_back({item.path(), name.substr(0, cut), *latent});
  }
  std::sort(files.begin(), files.end(), [](const LatentFile& a, const LatentFile& b) {
    return std::tie(a.hookpoint, a.latent) < std::tie(b.hookpoint, b.latent);
  });
  return files;
}

std::string site_of_hookpoint(const std::string& hookpoint) {
  const std::optional<Site> site = site_of_module(hookpoint, false);
  return site ? to_string(*site) : hookpoint;
}

std::string hookpoint_of_site(const std::string& site) {
  const std::optional<Site> known = find_site(site);
  const std::string module = known ? base_module(*known) : "";
  return module.empty() ? site : module;
}

std::int32_t layer_of_hookpoint(const std::string& hookpoint) {
  const std::size_t begin = std::min(hookpoint.find_first_of("0123456789"), hookpoint.size());
  const std::size_t end =
      std::min(hookpoint.find_first_not_of("0123456789", begin), hookpoint.size());
  return natural_number(hookpoint.substr(begin, end - begin)).value_or(0);
}

Explanation read_explanation(const fs::path& path) {
  const Json json = read_json(path);
  if (!json.is_string())
    bad_input(path.string() + ":1", "expected a text in quotes, got another JSON value", kRemedy);
  Explanation explanation;
  explanation.key.explainer = "delphi";
  explanation.short_text = json.get<std::string>();
  if (explanation.short_text == kUnparsable) explanation.status = TextStatus::unparsable;
  return explanation;
}

ScoreFile read_score(const fs::path& path, const std::string& scorer) {
  const Json json = read_json(path);
  const std::string where = path.string() + ":1";
  if (!json.is_array()) bad_input(where, "expected a list", kRemedy);
  ScoreFile file;
  if (scorer == "simulation") {
    for (std::size_t i = 0; i < json.size(); ++i) {
      const JsonObject row(json[i], fmt::format("{}: item {}", where, i));
      // delphi writes a correlation of constants as null or "nan".
      const bool is_text = row.json().value("ev_correlation_score", Json()) == "nan";
      const double value =
          is_text ? kUnknown : row.find<double>("ev_correlation_score").value_or(kUnknown);
      if (row.get<std::int64_t>("distance") == 0) file.score.value = value;  // over all quantiles
    }
    file.score.details = dump_json(Json{{"delphi", json}});
  } else {
    for (std::size_t i = 0; i < json.size(); ++i)
      file.asked.push_back(asked_of(JsonObject(json[i], fmt::format("{}: item {}", where, i))));
    file.score = classification(file.asked, where);
  }
  file.score.key.scorer = scorer == "fuzz" ? "fuzzing" : scorer == "simulation" ? "token" : scorer;
  file.score.key.prompt_hash = "delphi";
  return file;
}

Json score_row(const Window& window, Json rest) {
  Json tokens = Json::array();
  for (std::size_t t = 0; t < window.n_tokens(); ++t)
    tokens.push_back(std::string(window.token(t)));
  rest["str_tokens"] = tokens;
  if (!rest.contains("activations")) rest["activations"] = window.activation;
  return rest;
}

LatentStatistics read_cache(const fs::path& path) {
  const std::string stem = path.stem().string();
  const std::size_t cut = std::min(stem.find('_'), stem.size());
  const auto first = natural_number(std::string_view(stem).substr(0, cut));
  const auto last = natural_number(std::string_view(stem).substr(std::min(cut + 1, stem.size())));
  if (!first || !last || *last < *first || *last - *first >= kMaxLatents)
    bad_input(path.string(), "expected a name as FIRST_LAST.safetensors", kRemedy);
  const SafetensorsFile file(path);
  const TensorView& places = file.at("locations");
  const TensorView& values = file.at("activations");
  const TensorView& tokens = file.at("tokens");
  const bool is_unsigned =
      places.dtype == DType::u16 || places.dtype == DType::u32 || places.dtype == DType::u64;
  // torch has no wide unsigned integers in older versions, which then wrote signed ones.
  const bool is_signed = places.dtype == DType::i64;
  if (places.shape.size() != 2 || places.shape[1] != 3 || !(is_unsigned || is_signed))
    bad_input(path.string(), "locations: expected whole numbers [n, 3], got " + places.shape_text(),
              kRemedy);
  if (values.shape != std::vector<std::int64_t>{places.shape[0]} ||
      (values.dtype != DType::f16 && values.dtype != DType::f32))
    bad_input(path.string(),
              fmt::format("activations: expected F16 or F32 [{}], got {} {}", places.shape[0],
                          name_of(values.dtype), values.shape_text()),
              kRemedy);
  LatentStatistics statistics;
  statistics.n_tokens = static_cast<std::uint64_t>(tokens.n_elements());
  const auto n_latents = static_cast<std::uint64_t>(*last - *first) + 1;
  for (std::size_t i = 0; i < static_cast<std::size_t>(places.shape[0]); ++i) {
    const std::uint64_t latent = unsigned_element(places, 3 * i + 2);
    if (latent >= n_latents)
      bad_input(path.string(), fmt::format("location {}: there is no latent {}", i, latent),
                kRemedy);
    auto& one = statistics.latents[*first + static_cast<std::int32_t>(latent)];
    const float value = values.dtype == DType::f16
                            ? float_of_half(element<std::uint16_t>(values, i))
                            : element<float>(values, i);
    ++one.n_active;
    one.max_activation = std::max(one.max_activation, value);
  }
  return statistics;
}

}  // namespace safesail::delphi
