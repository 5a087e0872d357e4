// `safesail serve`: a run and its atlas for the page and other programs; or the model alone as an
// OpenAI-compatible endpoint.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/memory.h"
#include "base/units.h"
#include "cli/session.h"
#include "cli/subject_options.h"
#include "formats/model_path.h"
#include "serve/api_server.h"
#include "serve/openai.h"

namespace safesail {
namespace {

constexpr int kPagePort = 9999, kOpenAiPort = 8080;
constexpr std::size_t kOpenAiChats = 8;
/// Groups of options in the help: what belongs to one of the two servers alone.
constexpr const char* kOfThePage = "Without --openai";
constexpr const char* kOfTheModel = "With --openai";

struct ServeOptions {
  SubjectOptions subject;
  bool openai = false, no_model = false;
  std::string host = "127.0.0.1";
  std::optional<int> port;
  std::optional<std::size_t> max_chats;
  std::optional<std::uint64_t> prefix_mib;
  std::string name, token_variable;
  std::optional<fs::path> page;
  EngineLimits engine;
};

ApiKey token_of(const ServeOptions& options) {
  return options.token_variable.empty() ? ApiKey()
                                        : ApiKey::from_environment(options.token_variable);
}

void serve_openai(const ServeOptions& options, Session& session) {
  if (options.subject.model.path.empty())
    bad_input("serve", "expected a model, got none", "name one with --model");
  OpenAiServerOptions server_options{.host = options.host,
                                     .port = options.port.value_or(kOpenAiPort),
                                     .model_name = options.name,
                                     .max_active = options.max_chats.value_or(kOpenAiChats),
                                     .key = token_of(options)};
  if (options.prefix_mib) server_options.prefix_bytes = *options.prefix_mib << 20;
  if (options.name.empty()) server_options.model_name = name_of_model(options.subject.model.path);
  const TextModel model = load_text_model(options.subject.model.path,
                                          options.subject.model.load_options(), *session.reporter);
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
  ApiServerOptions api;
  api.http.host = options.host;
  api.http.port = options.port.value_or(kPagePort);
  api.http.token = token_of(options);
  if (!options.subject.run.empty()) api.run = options.subject.run;
  if (api.run && !fs::is_directory(*api.run))
    bad_input(api.run->string(), "expected the folder of a run", "name one with --run");
  api.atlas = options.subject.atlas_file();
  api.page = options.page ? options.page : built_page();
  api.engine = options.engine;
  return api;
}

/// A run that has not come as far as its features can be looked at without the model.
std::optional<Subject> subject_to_serve(const ServeOptions& options, Session& session) {
  if (!options.subject.release.empty()) import_release_once(options.subject, *session.reporter);
  if (options.no_model || options.subject.is_empty()) return std::nullopt;
  try {
    return load_subject(options.subject, *session.reporter);
  } catch (const Error& error) {
    if (options.subject.run.empty() || !options.subject.model.path.empty()) throw;
    session.reporter->warn(fmt::format("nobody can ask the model: {}", error.what()));
    return std::nullopt;
  }
}

/// Of the chats; the weights were stated when they were read.
void state_memory(const Subject& subject, const EngineLimits& limits, Reporter& reporter) {
  const std::uint64_t bytes = Engine::memory_bytes(subject, limits);
  reporter.note(
      fmt::format("memory: {} held by the model and the program, up to {} more for "
                  "{} chats of {} + {} tokens at once",
                  human_bytes(resident_memory_bytes()), human_bytes(bytes), limits.max_active,
                  limits.max_prompt_tokens, limits.max_new_tokens));
  if (subject.model.model.options().device == "cpu")
    require_memory(bytes, "the chats", "lower --max-chats, --max-prompt or --max-new");
}

void serve_page(ServeOptions options, Session& session) {
  options.engine.max_active = options.max_chats.value_or(options.engine.max_active);
  if (options.subject.is_empty() && options.subject.atlas.empty())
    bad_input("serve", "expected what to serve, got nothing",
              "name a run with --run, an atlas with --atlas, SAEs with --model and --sae, or a "
              "model with --openai --model");
  std::optional<Subject> subject = subject_to_serve(options, session);
  const ApiServerOptions api = api_options(options);
  if (subject) state_memory(*subject, options.engine, *session.reporter);
  ApiServer server(api, subject ? &*subject : nullptr, *session.reporter);
  session.reporter->note(
      fmt::format("http://{}:{} until Ctrl-C", api.http.host, server.http().port()));
  if (!api.page) session.reporter->note("the page is not built; `make web` builds it");
  server.run(session.stop);
}

/// An option of the other server would do nothing.
void require_its_own_options(const CLI::App& command, bool openai) {
  for (const CLI::Option* option : command.get_options())
    if (option->count() > 0 && option->get_group() == (openai ? kOfThePage : kOfTheModel))
      bad_input("serve",
                fmt::format("expected no {} {} --openai, got it", option->get_name(),
                            openai ? "with" : "without"),
                openai ? "leave it out; it is of the page and its API"
                       : "leave it out, or serve the model alone with --openai");
}

void run_serve(const CLI::App& command, const ServeOptions& options, Session& session) {
  require_its_own_options(command, options.openai);
  options.openai ? serve_openai(options, session) : serve_page(options, session);
}

}  // namespace

void add_serve_command(CLI::App& app, Session& session) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App* command = app.add_subcommand(
      "serve", "Show a run in the browser; or answer other programs with the model (--openai)");
  add_subject_options(*command, options->subject);
  for (const char* name : {"--run", "--any-model", "--sae", "--atlas", "--release", "--k"})
    command->get_option(name)->group(kOfThePage);
  command->add_option("--web", options->page, "Folder of the built page, if not the program's own")
      ->group(kOfThePage);
  command->add_flag("--no-model", options->no_model, "Show what is known; nobody can ask the model")
      ->group(kOfThePage);
  command->add_flag("--openai", options->openai, "Serve /v1/chat/completions and /v1/models only");
  command->add_option("--host", options->host, "Address to listen on")->capture_default_str();
  command
      ->add_option("--port", options->port,
                   "Port to listen on; 0: any that is free [9999, with --openai 8080]")
      ->check(CLI::Range(0, 65535));
  command
      ->add_option("--name", options->name,
                   "What clients call the model; else the name of its file")
      ->group(kOfTheModel);
  command->add_option("--token-env,--key-env", options->token_variable,
                      "Environment variable with the token that clients must bring");
  EngineLimits& engine = options->engine;
  command->add_option("--max-waiting", engine.max_waiting, "Requests that may wait")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str()
      ->group(kOfThePage);
  command
      ->add_option("--max-chats", options->max_chats,
                   fmt::format("Chats answered at once [{}, with --openai {}]", engine.max_active,
                               kOpenAiChats))
      ->check(CLI::Range(1, 64));
  command
      ->add_option("--prefix-cache", options->prefix_mib,
                   "MiB for what prompts have in common with earlier ones; 0: keep nothing of a "
                   "prompt once it is answered [an eighth of the free memory]")
      ->check(CLI::Range(0, 1 << 30))
      ->group(kOfTheModel);
  command->add_option("--max-prompt", engine.max_prompt_tokens, "Tokens of a prompt")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str()
      ->group(kOfThePage);
  command->add_option("--max-new", engine.max_new_tokens, "Tokens of an answer")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str()
      ->group(kOfThePage);
  command->footer(
      "Examples:\n  safesail serve --run runs/demo\n"
      "  SOURCE_MODEL=Qwen2.5-3B-Instruct safesail serve --release Safe-SAIL/data\n"
      "  safesail serve --openai --model model.gguf --port 8080\n"
      "  curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\\n"
      "    -d '{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}], \"max_tokens\": "
      "20}'");
  command->callback([=, &session] {
    session.action = [=, &session] { run_serve(*command, *options, session); };
  });
}

}  // namespace safesail
