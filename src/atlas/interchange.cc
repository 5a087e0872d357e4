#include "atlas/interchange.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "atlas/delphi.h"
#include "atlas/neuronpedia.h"
#include "base/error.h"

namespace safesail {
namespace {

constexpr std::array kFormats = {
    AtlasFormat{"safe-sail", is_release, import_release,
                [](const fs::path& folder, Judge& judge) { read_release(folder, judge); },
                export_release},
    AtlasFormat{"neuronpedia", is_neuronpedia, import_neuronpedia, judge_neuronpedia,
                export_neuronpedia},
    AtlasFormat{"delphi", is_delphi, import_delphi, judge_delphi, export_delphi},
};

std::string names() {
  std::string all;
  for (const AtlasFormat& format : kFormats)
    all += fmt::format("{}{}", all.empty() ? "" : ", ", format.name);
  return all;
}

}  // namespace

std::span<const AtlasFormat> atlas_formats() {
  return kFormats;
}

const AtlasFormat& atlas_format(std::string_view name) {
  const auto found = std::find_if(kFormats.begin(), kFormats.end(),
                                  [&](const AtlasFormat& format) { return format.name == name; });
  if (found == kFormats.end())
    bad_input(name, "there is no such format", "choose one of " + names());
  return *found;
}

const AtlasFormat& format_of_folder(const fs::path& folder) {
  if (!fs::is_directory(folder))
    bad_input(folder.string(), "expected a folder", "give the folder that holds the files");
  const auto found = std::find_if(kFormats.begin(), kFormats.end(),
                                  [&](const AtlasFormat& format) { return format.is_in(folder); });
  if (found == kFormats.end())
    bad_input(folder.string(), "expected files of one of these formats: " + names(),
              "check the folder, or name its format with --from");
  return *found;
}

ImportReport import_folder(const AtlasFormat& format, const fs::path& folder,
                           const fs::path& path) {
  const bool is_new = !fs::exists(path);
  try {
    Atlas atlas(path);
    return format.import(atlas, folder);
  } catch (...) {
    std::error_code ignored;
    if (is_new) fs::remove(path, ignored);
    throw;
  }
}

std::vector<Violation> validate_folder(const AtlasFormat& format, const fs::path& folder) {
  std::vector<Violation> violations;
  Judge judge(&violations);
  judge.check([&] { format.judge(folder, judge); });
  return violations;
}

}  // namespace safesail
