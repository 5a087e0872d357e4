// `safesail sae convert`: SAE checkpoints between the formats of the field, proved on activations.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/print.h"
#include "cli/session.h"
#include "model/mlp_norm.h"
#include "model/read_spec.h"
#include "sae/convert.h"

namespace safesail {
namespace {

struct Options {
  ConvertOptions convert;
  std::string model;
  bool as_json = false;
};

nlohmann::json json_of(const Conversion& done, const ConvertOptions& options) {
  return {
      {"in", options.in.string()},
      {"out", options.out.string()},
      {"from", done.from},
      {"to", done.to},
      {"architecture", done.spec.architecture},
      {"d_in", done.spec.d_in},
      {"d_out", done.spec.d_out},
      {"n_features", done.spec.n_features},
      {"k", done.spec.k},
      {"encoder_only", done.encoder_only},
      {"notes", done.notes},
      {"check",
       {{"activations", done.golden},
        {"n_tokens", done.agreement.n_tokens},
        {"n_active", done.agreement.n_active},
        {"max_value_difference", done.agreement.max_value_difference},
        {"max_xhat_difference", done.agreement.max_xhat_difference},
        {"share_of_tolerance", std::max(done.agreement.worst_value, done.agreement.worst_xhat)}}}};
}

void convert(const Options& options, Reporter& reporter) {
  ConvertOptions with_model = options.convert;
  if (!options.model.empty()) {
    with_model.read.post_norms = read_spec(options.model).post_norms;
    with_model.read.mlp_norm = [&](int layer) { return read_mlp_norm(options.model, layer); };
  }
  const Conversion done = convert_sae(with_model);
  if (options.as_json) {
    print_json(json_of(done, options.convert), 2);
    return;
  }
  for (const std::string& note : done.notes) reporter.note(note);
  print(
      "{}: {} -> {}, {} of {} features\n"
      "on {} ({} tokens, {} features active) the same features fire with the same values\n"
      "(largest difference {:.2g} of a value{})\n",
      options.convert.out.string(), done.from, done.to, done.spec.architecture,
      done.spec.n_features, done.golden, done.agreement.n_tokens, done.agreement.n_active,
      done.agreement.max_value_difference,
      done.encoder_only
          ? ", no decoder"
          : fmt::format(", {:.2g} of a reconstruction", done.agreement.max_xhat_difference));
}

std::string format_names() {
  std::string names;
  for (const Dialect& dialect : all_dialects())
    names += fmt::format("{}{}", names.empty() ? "" : ", ", dialect.name);
  return names;
}

}  // namespace

void add_sae_convert_command(CLI::App& sae, Session& session) {
  CLI::App* command = sae.add_subcommand("convert", "Convert an SAE between the field's formats");
  auto options = std::make_shared<Options>();
  ConvertOptions& convert_options = options->convert;
  command->add_option("-i,--in", convert_options.in, "File or folder of the SAE")->required();
  command->add_option("--to", convert_options.to, "Format to write: " + format_names())->required();
  command->add_option("-o,--out", convert_options.out, "File or folder to make; must not exist")
      ->required();
  command->add_option("--from", convert_options.from,
                      "Format to read, where it is not seen: " + format_names());
  command->add_option("--site", convert_options.read.site,
                      "Site it reads, as mlp_out.17, whatever the file says");
  command->add_option("--model", options->model,
                      "Model that the SAE reads: a Hugging Face folder or a .gguf file; needed "
                      "where the SAE reads a norm's output before its weight");
  command->add_option("--k", convert_options.read.k, "k of a TopK SAE whose file does not hold it");
  command->add_option("--input-scale", convert_options.read.input_scale,
                      "What activations are multiplied by, where the file does not hold it");
  command->add_option("--golden", convert_options.golden,
                      "Safetensors with activations to check on; default: the SAE's own");
  command->add_option("--key", convert_options.golden_key, "Name of the tensor in --golden")
      ->capture_default_str();
  command->add_flag("--json", options->as_json, "Print JSON");
  command->footer(
      "Example:\n  safesail sae convert --in runs/demo/sae/mlp_out.15/topk-k32/sae.safetensors "
      "--to saelens --out for_saelens");
  command->callback(
      [=, &session] { session.action = [=, &session] { convert(*options, *session.reporter); }; });
}

}  // namespace safesail
