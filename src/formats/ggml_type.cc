#include "formats/ggml_type.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <utility>
#include <vector>

#include "base/error.h"

namespace safesail {
namespace {

struct TypeRow {
  GgmlType type;
  std::string_view name;
  GgmlBlock block;
};

constexpr std::array kTypes = {
    TypeRow{GgmlType::f32, "F32", {1, 4}},       TypeRow{GgmlType::f16, "F16", {1, 2}},
    TypeRow{GgmlType::bf16, "BF16", {1, 2}},     TypeRow{GgmlType::q4_0, "Q4_0", {32, 18}},
    TypeRow{GgmlType::q4_1, "Q4_1", {32, 20}},   TypeRow{GgmlType::q5_0, "Q5_0", {32, 22}},
    TypeRow{GgmlType::q5_1, "Q5_1", {32, 24}},   TypeRow{GgmlType::q8_0, "Q8_0", {32, 34}},
    TypeRow{GgmlType::q4_k, "Q4_K", {256, 144}}, TypeRow{GgmlType::q5_k, "Q5_K", {256, 176}},
    TypeRow{GgmlType::q6_k, "Q6_K", {256, 210}},
};

using Other = std::pair<std::uint32_t, std::string_view>;
constexpr std::array kOtherTypes = {
    Other{9, "Q8_1"},     Other{10, "Q2_K"},   Other{11, "Q3_K"},    Other{15, "Q8_K"},
    Other{16, "IQ2_XXS"}, Other{17, "IQ2_XS"}, Other{18, "IQ3_XXS"}, Other{19, "IQ1_S"},
    Other{20, "IQ4_NL"},  Other{21, "IQ3_S"},  Other{22, "IQ2_S"},   Other{23, "IQ4_XS"},
    Other{24, "I8"},      Other{25, "I16"},    Other{26, "I32"},     Other{27, "I64"},
    Other{28, "F64"},     Other{29, "IQ1_M"},  Other{34, "TQ1_0"},   Other{35, "TQ2_0"},
    Other{39, "MXFP4"},
};

const TypeRow& row_of(GgmlType type) {
  const auto row = std::find_if(kTypes.begin(), kTypes.end(),
                                [&](const TypeRow& candidate) { return candidate.type == type; });
  SAFESAIL_CHECK(row != kTypes.end());
  return *row;
}

}  // namespace

std::string_view name_of(GgmlType type) {
  return row_of(type).name;
}

GgmlBlock block_of(GgmlType type) {
  return row_of(type).block;
}

std::optional<GgmlType> ggml_type_numbered(std::uint32_t number) {
  for (const TypeRow& row : kTypes)
    if (static_cast<std::uint32_t>(row.type) == number) return row.type;
  return std::nullopt;
}

std::string ggml_type_text(std::uint32_t number) {
  for (const auto& [other, name] : kOtherTypes)
    if (other == number) return fmt::format("{} ({})", name, number);
  return fmt::format("type {}", number);
}

std::string known_ggml_types() {
  std::vector<std::string_view> names;
  for (const TypeRow& row : kTypes) names.push_back(row.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace safesail
