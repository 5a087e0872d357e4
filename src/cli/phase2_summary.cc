#include "cli/phase2_summary.h"

#include <fmt/format.h>

#include "cli/best_features.h"
#include "cli/selection_table.h"

namespace safesail {

std::string phase2_summary(const Phase2Result& result, const fs::path& run) {
  std::string text;
  if (result.selection) text += selection_table(*result.selection) + "\n";
  text += "Recommended: " + result.selected.reason + "\n";
  Atlas atlas(atlas_path(run), Atlas::Mode::read);
  text += best_features(atlas, 10);
  text += fmt::format(
      "\nEverything is in {0}/: open report.html and select/report.html, or try\n"
      "  bin/safesail atlas search war --atlas {0}\n"
      "  bin/safesail atlas list --domain violence --atlas {0}\n",
      run.string());
  return text;
}

}  // namespace safesail
