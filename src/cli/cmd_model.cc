// `safesail model info|tokenize|logits|activations`: look at a model and compare it with others.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/units.h"
#include "cli/model_options.h"
#include "cli/print.h"
#include "cli/session.h"
#include "model/dump.h"
#include "model/language_model.h"
#include "model/read_spec.h"
#include "text/chat.h"
#include "text/tokenizer.h"

namespace safesail {
namespace {

using nlohmann::json;

struct TokenizeOptions {
  std::string model, text, template_arguments;
  bool no_special = false, chat = false, as_json = false;
};

struct DumpOptions {
  ModelOptions model;
  std::string ids, text, sites, out;
};

struct InfoOptions {
  std::string model;
  bool as_json = false;
};

/// The ids given by --ids, or --text through the model's tokenizer.
std::vector<std::int32_t> ids_of(const DumpOptions& options) {
  if (!options.ids.empty()) return parse_ids(options.ids);
  return Tokenizer::load(options.model.path).encode(text_or_stdin(options.text), true).ids;
}

void tokenize(const TokenizeOptions& options) {
  const Tokenizer tokenizer = Tokenizer::load(options.model);
  std::string text = text_or_stdin(options.text);
  if (options.chat)
    text = render_chat(tokenizer, {{"user", text}}, true,
                       template_arguments(options.template_arguments));
  // A rendered chat already holds its special tokens.
  const Encoding encoding = tokenizer.encode(text, !options.no_special && !options.chat);
  json tokens = json::array();
  for (const std::int32_t id : encoding.ids) tokens.push_back(tokenizer.token(id));
  if (options.as_json) {
    print_json(json{{"ids", encoding.ids}, {"tokens", tokens}});
    return;
  }
  std::vector<std::vector<std::string>> rows = {{"id", "token"}};
  for (std::size_t i = 0; i < encoding.ids.size(); ++i)
    rows.push_back({fmt::to_string(encoding.ids[i]), tokens[i].get<std::string>()});
  print("{}", format_table(rows));
}

void info(const InfoOptions& options) {
  const ModelSpec spec = read_spec(options.model);
  if (options.as_json) {
    print_json(json{{"family", spec.family},
                    {"n_layers", spec.n_layers},
                    {"d_model", spec.d_model},
                    {"d_ff", spec.d_ff},
                    {"n_heads", spec.n_heads},
                    {"n_kv_heads", spec.n_kv_heads},
                    {"head_dim", spec.head_dim},
                    {"vocab_size", spec.vocab_size},
                    {"max_positions", spec.max_positions}},
               2);
    return;
  }
  print("{}", format_table({{"what", "value"},
                            {"family", spec.family},
                            {"layers", fmt::to_string(spec.n_layers)},
                            {"d_model", fmt::to_string(spec.d_model)},
                            {"d_ff", fmt::to_string(spec.d_ff)},
                            {"heads", fmt::format("{} ({} key/value), {} wide", spec.n_heads,
                                                  spec.n_kv_heads, spec.head_dim)},
                            {"vocabulary", fmt::to_string(spec.vocab_size)}}));
}

void add_info(CLI::App& model, Session& session) {
  auto options = std::make_shared<InfoOptions>();
  CLI::App* command = model.add_subcommand("info", "What a model is: family, shape, size");
  command->add_option("-m,--model", options->model, "Model: a Hugging Face folder or a .gguf file")
      ->required();
  command->add_flag("--json", options->as_json, "Print JSON");
  command->footer("Example:\n  safesail model info --model model.gguf");
  command->callback([=, &session] { session.action = [=] { info(*options); }; });
}

void add_tokenize(CLI::App& model, Session& session) {
  auto options = std::make_shared<TokenizeOptions>();
  CLI::App* command =
      model.add_subcommand("tokenize", "Text to token ids, as Hugging Face does it");
  command->add_option("-m,--model", options->model, "Model folder, tokenizer.json or .gguf file")
      ->required();
  command->add_option("-t,--text", options->text, "Text; - reads standard input")->required();
  command->add_flag("--no-special", options->no_special, "Add no BOS or EOS");
  command->add_flag("--chat", options->chat,
                    "Put the text into the chat template as the user's message");
  add_template_arguments(*command, options->template_arguments);
  command->add_flag("--json", options->as_json, "Print {\"ids\": [...], \"tokens\": [...]}");
  command->footer(
      "Example:\n  safesail model tokenize --model model.gguf --text 'Hello there' --json");
  command->callback([=, &session] { session.action = [=] { tokenize(*options); }; });
}

CLI::App* add_dump(CLI::App& model, const char* name, const char* help,
                   const std::shared_ptr<DumpOptions>& options) {
  CLI::App* command = model.add_subcommand(name, help);
  add_model_options(*command, options->model, "f32");
  CLI::Option* ids = command->add_option("--ids", options->ids, "Token ids: 1,2,3");
  command->add_option("-t,--text", options->text, "Text instead of ids; - reads standard input")
      ->excludes(ids);
  command->add_option("-o,--out", options->out, "File to write (.safetensors)")->required();
  return command;
}

void add_logits(CLI::App& model, Session& session) {
  auto options = std::make_shared<DumpOptions>();
  CLI::App* command =
      add_dump(model, "logits", "Logits [T, V] of a sequence, as f32 safetensors", options);
  command->footer(
      "Example:\n  safesail model logits --model model.gguf --ids 1,2,3 --out logits.safetensors");
  command->callback([=, &session] {
    session.action = [=, &session] {
      const std::vector<std::int32_t> ids = ids_of(*options);
      dump_logits(LanguageModel::load(options->model.path, options->model.load_options(),
                                      *session.reporter),
                  ids, options->out);
    };
  });
}

void add_activations(CLI::App& model, Session& session) {
  auto options = std::make_shared<DumpOptions>();
  CLI::App* command =
      add_dump(model, "activations", "Values of sites, one f32 tensor [T, d] a site", options);
  command->add_option("-s,--sites", options->sites, "Sites: mlp_out.0,resid_post.1 or mlp_out.*")
      ->required();
  command->footer(
      "Example:\n  safesail model activations --model model.gguf --ids 1,2,3 --sites "
      "mlp_out.0,resid_post.1 "
      "--out a.safetensors");
  command->callback([=, &session] {
    session.action = [=, &session] {
      const std::vector<std::int32_t> ids = ids_of(*options);
      const LanguageModel language_model = LanguageModel::load(
          options->model.path, options->model.load_options(), *session.reporter);
      dump_activations(language_model, ids,
                       parse_sites(options->sites, language_model.spec().n_layers), options->out);
    };
  });
}

}  // namespace

void add_model_commands(CLI::App& app, Session& session) {
  CLI::App* model = app.add_subcommand("model", "Look at a language model and run it");
  model->require_subcommand(1);
  add_info(*model, session);
  add_tokenize(*model, session);
  add_logits(*model, session);
  add_activations(*model, session);
  add_generate_command(*model, session);
}

}  // namespace safesail
