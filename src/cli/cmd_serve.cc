// `safesail serve`: the loaded model as an endpoint for other programs.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>

#include "base/error.h"
#include "cli/model_options.h"
#include "cli/session.h"
#include "serve/openai.h"

namespace safesail {
namespace {

struct ServeOptions {
  ModelOptions model;
  bool openai = false;
  OpenAiServerOptions server;
  std::string name, key_variable;
};

void run_serve(const ServeOptions& options, Session& session) {
  if (!options.openai) bad_input("serve", "expected what to serve, got nothing", "give --openai");
  OpenAiServerOptions server_options = options.server;
  server_options.model_name =
      options.name.empty() ? fs::path(options.model.path).stem().string() : options.name;
  if (!options.key_variable.empty())
    server_options.key = ApiKey::from_environment(options.key_variable);
  const TextModel model =
      load_text_model(options.model.path, options.model.load_options(), *session.reporter);
  OpenAiServer server(model, server_options, *session.reporter);
  session.reporter->note(fmt::format("'{}' answers at http://{}:{}/v1 until Ctrl-C",
                                     server_options.model_name, server_options.host,
                                     server.port()));
  server.run(session.stop);
}

}  // namespace

void add_serve_command(CLI::App& app, Session& session) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App* command = app.add_subcommand(
      "serve", "Answer other programs with the model, as an OpenAI-compatible endpoint");
  add_model_options(*command, options->model, "bf16");
  command->add_flag("--openai", options->openai, "Serve /v1/chat/completions and /v1/models");
  command->add_option("--host", options->server.host, "Address to listen on")
      ->capture_default_str();
  command->add_option("--port", options->server.port, "Port to listen on; 0: any that is free")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  command->add_option("--name", options->name,
                      "What clients call the model; else the name of its file");
  command->add_option("--key-env", options->key_variable,
                      "Environment variable with the key that clients must bring");
  command->footer(
      "Example:\n  safesail serve --openai --model model.gguf --port 8080\n"
      "  curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\\n"
      "    -d '{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}], \"max_tokens\": "
      "20}'");
  command->callback(
      [=, &session] { session.action = [=, &session] { run_serve(*options, session); }; });
}

}  // namespace safesail
