// `safesail sae info|encode|verify`: look at a trained SAE and use it on activations.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/print.h"
#include "cli/session.h"
#include "sae/checkpoint.h"
#include "sae/encode_file.h"

namespace safesail {
namespace {

struct SaeOptions {
  std::string sae, in, key = "x", out;
  bool reconstruct = false, as_json = false;
};

void info(const SaeOptions& options) {
  const LoadedSae loaded = load_sae(options.sae);
  if (options.as_json) {
    print_json(nlohmann::json(loaded.metadata), 2);
    return;
  }
  std::vector<std::vector<std::string>> rows = {{"key", "value"}};
  for (const auto& [key, value] : loaded.metadata) rows.push_back({key, value});
  print("{}", format_table(rows));
}

void encode(const SaeOptions& options) {
  const LoadedSae loaded = load_sae(options.sae);
  if (options.reconstruct && loaded.provenance.encoder_only)
    bad_input(options.sae, "expected an SAE with a decoder, got an encoder alone",
              "leave --reconstruct out");
  const std::int64_t n =
      encode_file(loaded.sae, options.in, options.key, options.out, options.reconstruct);
  if (options.as_json)
    print_json(nlohmann::json{{"n_tokens", n}, {"k", loaded.sae.spec().k}, {"out", options.out}});
  else
    print("{} tokens encoded into {}\n", n, options.out);
}

void verify(const SaeOptions& options) {
  const GoldenCheck check = verify_sae(options.sae);
  if (options.as_json)
    print_json(nlohmann::json{{"n_tokens", check.n_tokens},
                              {"n_different", check.n_different},
                              {"max_relative_difference", check.max_relative_difference}});
  else
    print(
        "{}: the {} golden activations come out as stored (largest relative difference {:.2g}, {} "
        "features differ)\n",
        options.sae, check.n_tokens, check.max_relative_difference, check.n_different);
}

CLI::App* add(CLI::App& sae, const char* name, const char* help,
              const std::shared_ptr<SaeOptions>& options) {
  CLI::App* command = sae.add_subcommand(name, help);
  command->add_option("--sae", options->sae, "sae.safetensors")->required();
  command->add_flag("--json", options->as_json, "Print JSON");
  return command;
}

}  // namespace

void add_sae_commands(CLI::App& app, Session& session) {
  CLI::App* sae = app.add_subcommand("sae", "Look at a trained SAE and use it");
  sae->require_subcommand(1);
  auto options = std::make_shared<SaeOptions>();

  CLI::App* info_command = add(*sae, "info", "What an SAE is and where it came from", options);
  info_command->footer(
      "Example:\n  safesail sae info --sae runs/demo/sae/mlp_out.15/topk-k32/sae.safetensors");
  info_command->callback([=, &session] { session.action = [=] { info(*options); }; });

  CLI::App* encode_command =
      add(*sae, "encode", "Activations [T, d] to features: indices and values [T, k]", options);
  encode_command->add_option("-i,--in", options->in, "Safetensors file with the activations")
      ->required();
  encode_command->add_option("--key", options->key, "Name of the tensor")->capture_default_str();
  encode_command->add_option("-o,--out", options->out, "File to write (.safetensors)")->required();
  encode_command->add_flag("--reconstruct", options->reconstruct, "Also write xhat [T, d]");
  encode_command->footer(
      "Example:\n  safesail sae encode --sae sae.safetensors --in a.safetensors --key mlp_out.15 "
      "--out codes.safetensors");
  encode_command->callback([=, &session] { session.action = [=] { encode(*options); }; });

  CLI::App* verify_command =
      add(*sae, "verify", "Check that the SAE decodes its golden vectors rightly", options);
  verify_command->footer(
      "Example:\n  safesail sae verify --sae runs/demo/sae/mlp_out.15/topk-k32/sae.safetensors");
  verify_command->callback([=, &session] { session.action = [=] { verify(*options); }; });

  add_sae_convert_command(*sae, session);
}

}  // namespace safesail
