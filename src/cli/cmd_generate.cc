// `safesail model generate`: let a model continue a text or answer a message.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cli/model_options.h"
#include "cli/number_checks.h"
#include "cli/print.h"
#include "cli/session.h"
#include "model/generate.h"
#include "model/text_model.h"
#include "text/chat.h"
#include "text/stream_decoder.h"

namespace safesail {
namespace {

struct GenerateOptions {
  ModelOptions model;
  std::string text, messages, template_arguments;
  bool chat = false, as_json = false;
  GenerateConfig generate;
};

constexpr std::uint64_t kMaxMessagesBytes = 16 << 20;

std::string_view name_of(Generated::End end) {
  switch (end) {
    case Generated::End::stop_token:
      return "stop_token";
    case Generated::End::length:
      return "length";
    case Generated::End::cancelled:
    case Generated::End::fault:  // of a constraint, which it has none of
      return "cancelled";
  }
  return "";
}

std::vector<std::int32_t> prompt_ids(const GenerateOptions& options, const Tokenizer& tokenizer) {
  const auto ids_of = [&](const std::vector<ChatMessage>& messages) {
    const Json arguments = template_arguments(options.template_arguments);
    return tokenizer.encode(render_chat(tokenizer, messages, true, arguments), false).ids;
  };
  if (!options.messages.empty())
    return ids_of(parse_messages(read_file(options.messages, kMaxMessagesBytes), options.messages));
  if (options.text.empty())
    bad_input("generate", "expected a text or messages", "give --text or --messages");
  const std::string text = text_or_stdin(options.text);
  if (options.chat) return ids_of({{"user", text}});
  return tokenizer.encode(text, true).ids;
}

void run_generate(const GenerateOptions& options, Session& session) {
  const auto [tokenizer, model] =
      load_text_model(options.model.path, options.model.load_options(), *session.reporter);
  const std::vector<std::int32_t> prompt = prompt_ids(options, tokenizer);
  StreamDecoder decoder(tokenizer);
  const auto show = [&](std::size_t, std::int32_t id) {
    if (options.as_json) return;
    print("{}", decoder.add(id));
    std::fflush(stdout);
  };
  const Generated result = generate(model, {prompt}, options.generate, show, session.stop).front();
  if (options.as_json)
    print_json(nlohmann::json{{"text", tokenizer.decode(result.ids, true)},
                              {"ids", result.ids},
                              {"n_prompt_tokens", prompt.size()},
                              {"end", name_of(result.end)}});
  else
    print("{}\n", decoder.finish());
}

}  // namespace

void add_generate_command(CLI::App& model, Session& session) {
  auto options = std::make_shared<GenerateOptions>();
  SamplingConfig& sampling = options->generate.sampling;
  CLI::App* command =
      model.add_subcommand("generate", "Continue a text, or answer it through the chat template");
  add_model_options(*command, options->model, "bf16");
  command->add_option("-t,--text", options->text, "Text to continue; - reads standard input");
  command->add_flag("--chat", options->chat, "The text is the user's message: answer it");
  command->add_option("--messages", options->messages,
                      "JSON file: [{\"role\": ..., \"content\": ...}, ...]");
  add_template_arguments(*command, options->template_arguments);
  command->add_option("-n,--max-new", options->generate.max_new_tokens, "Tokens to make at most")
      ->check(above_zero())
      ->capture_default_str();
  command->add_option("--temperature", sampling.temperature, "0 takes the likeliest token always")
      ->check(zero_or_more())
      ->capture_default_str();
  command->add_option("--top-k", sampling.top_k, "Draw among this many tokens; 0: all")
      ->check(zero_or_more())
      ->capture_default_str();
  command->add_option("--top-p", sampling.top_p, "Draw among the fewest tokens with this share")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--seed", sampling.seed, "Seed of the draws")->capture_default_str();
  command->add_flag("--json", options->as_json,
                    "Print JSON at the end instead of text as it comes");
  command->footer(
      "Example:\n  safesail model generate --model model.gguf --chat --text 'Why is the sky "
      "blue?'");
  command->callback(
      [=, &session] { session.action = [=, &session] { run_generate(*options, session); }; });
}

}  // namespace safesail
