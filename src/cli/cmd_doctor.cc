// `safesail doctor`: what this machine offers and whether the packaged data is in place.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/cpu.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/units.h"
#include "base/version.h"
#include "cli/print.h"
#include "cli/session.h"
#include "model/compute.h"

namespace safesail {
namespace {

void run_doctor(bool as_json) {
  const ComputeInfo compute = compute_info();
  const auto present = [](const char* path) {
    return fs::exists(path) ? "there" : "missing: run scripts/setup.sh";
  };
  const std::vector<std::pair<std::string, std::string>> facts = {
      {"safesail", kVersion},
      {"libtorch", compute.torch_version},
      {"LibTorch's kernels", compute.cpu_capability},
      {"our kernels", fmt::format("{}", fmt::join(kernel_targets(), ", "))},
      {"bf16 products",
       compute.native_bf16 ? "native" : "none: bf16 weights are widened as they are used"},
      {"GPU", compute.gpu},
      {"threads", fmt::to_string(std::thread::hardware_concurrency())},
      {"memory available", human_bytes(available_memory_bytes())},
      {"disk free here", human_bytes(free_disk_bytes("."))},
      {"packaged model", present(".deps/models/smollm2-135m-instruct-q4_1.gguf")},
      {"packaged corpus", present(".deps/corpora/wordnet.jsonl")},
  };
  if (as_json) {
    nlohmann::json object;
    for (const auto& [key, value] : facts) object[key] = value;
    print_json(object, 2);
    return;
  }
  std::vector<std::vector<std::string>> rows = {{"what", "here"}};
  for (const auto& [key, value] : facts) rows.push_back({key, value});
  print("{}", format_table(rows));
}

}  // namespace

void add_doctor_command(CLI::App& app, Session& session) {
  auto as_json = std::make_shared<bool>(false);
  CLI::App* command =
      app.add_subcommand("doctor", "What this machine offers, and whether the data is in place");
  command->add_flag("--json", *as_json, "Print JSON");
  command->footer("Example:\n  safesail doctor");
  command->callback([=, &session] { session.action = [=] { run_doctor(*as_json); }; });
}

}  // namespace safesail
