// `safesail serve`: a run and its atlas for the page and other programs; or the model alone as an
// OpenAI-compatible endpoint.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>
#include <optional>

#include "atlas/atlas.h"
#include "base/error.h"
#include "cli/model_options.h"
#include "cli/session.h"
#include "serve/api_server.h"
#include "serve/openai.h"

namespace safesail {
namespace {

constexpr int kPagePort = 9999, kOpenAiPort = 8080;

struct ServeOptions {
  ModelOptions model;
  bool openai = false;
  std::string host = "127.0.0.1";
  std::optional<int> port;
  std::string name, token_variable;
  std::optional<fs::path> run, atlas, page;
};

ApiKey token_of(const ServeOptions& options) {
  return options.token_variable.empty() ? ApiKey()
                                        : ApiKey::from_environment(options.token_variable);
}

void serve_openai(const ServeOptions& options, Session& session) {
  if (options.model.path.empty())
    bad_input("serve", "expected a model, got none", "name one with --model");
  OpenAiServerOptions server_options{.host = options.host,
                                     .port = options.port.value_or(kOpenAiPort),
                                     .model_name = options.name,
                                     .key = token_of(options)};
  if (options.name.empty())
    server_options.model_name = fs::path(options.model.path).stem().string();
  const TextModel model =
      load_text_model(options.model.path, options.model.load_options(), *session.reporter);
  OpenAiServer server(model, server_options, *session.reporter);
  session.reporter->note(fmt::format("'{}' answers at http://{}:{}/v1 until Ctrl-C",
                                     server_options.model_name, server_options.host,
                                     server.port()));
  server.run(session.stop);
}

/// Where the build puts the page, beside the program or above its preset.
std::optional<fs::path> built_page() {
  std::error_code none;
  const fs::path program = fs::read_symlink("/proc/self/exe", none);
  for (const char* up : {"../web", "../../web"})
    if (const fs::path page = (program.parent_path() / up).lexically_normal();
        fs::exists(page / "index.html"))
      return page;
  return std::nullopt;
}

ApiServerOptions api_options(const ServeOptions& options) {
  if (!options.run && !options.atlas)
    bad_input("serve", "expected what to serve, got nothing",
              "name a run with --run, an atlas with --atlas, or a model with --openai --model");
  if (options.run && !fs::is_directory(*options.run))
    bad_input(options.run->string(), "expected the folder of a run", "name one with --run");
  ApiServerOptions api;
  api.http.host = options.host;
  api.http.port = options.port.value_or(kPagePort);
  api.http.token = token_of(options);
  api.run = options.run;
  if (options.atlas)
    api.atlas = atlas_path(*options.atlas);
  else if (const fs::path atlas = atlas_path(*options.run); fs::exists(atlas))
    api.atlas = atlas;
  api.page = options.page ? options.page : built_page();
  return api;
}

void serve_page(const ServeOptions& options, Session& session) {
  const ApiServerOptions api = api_options(options);
  ApiServer server(api, *session.reporter);
  session.reporter->note(
      fmt::format("http://{}:{} until Ctrl-C", api.http.host, server.http().port()));
  if (!api.page) session.reporter->note("the page is not built; `make web` builds it");
  server.run(session.stop);
}

void run_serve(const ServeOptions& options, Session& session) {
  options.openai ? serve_openai(options, session) : serve_page(options, session);
}

}  // namespace

void add_serve_command(CLI::App& app, Session& session) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App* command = app.add_subcommand(
      "serve", "Show a run in the browser; or answer other programs with the model (--openai)");
  command->add_option("--run", options->run, "Folder of a run");
  command->add_option("-a,--atlas", options->atlas,
                      "Neuron database, or the folder of its run; else the run's own");
  command->add_option("--web", options->page, "Folder of the built page, if not the program's own");
  add_model_options(*command, options->model, "bf16");
  command->get_option("--model")->required(false);
  command->add_flag("--openai", options->openai, "Serve /v1/chat/completions and /v1/models only");
  command->add_option("--host", options->host, "Address to listen on")->capture_default_str();
  command
      ->add_option("--port", options->port,
                   "Port to listen on; 0: any that is free [9999, with --openai 8080]")
      ->check(CLI::Range(0, 65535));
  command->add_option("--name", options->name,
                      "What clients call the model; else the name of its file");
  command->add_option("--token-env,--key-env", options->token_variable,
                      "Environment variable with the token that clients must bring");
  command->footer(
      "Examples:\n  safesail serve --run runs/demo\n"
      "  safesail serve --openai --model model.gguf --port 8080\n"
      "  curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\\n"
      "    -d '{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}], \"max_tokens\": "
      "20}'");
  command->callback(
      [=, &session] { session.action = [=, &session] { run_serve(*options, session); }; });
}

}  // namespace safesail
