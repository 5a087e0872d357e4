// `safesail trace`: every token of a text or a chat with the features that are active on it.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <memory>

#include "base/error.h"
#include "cli/number_checks.h"
#include "cli/print.h"
#include "cli/session.h"
#include "cli/subject_options.h"
#include "diagnose/trace_json.h"
#include "formats/json.h"
#include "model/generate.h"

namespace safesail {
namespace {

struct TraceCommand {
  SubjectOptions subject;
  std::string text, messages, template_arguments, language = "en";
  std::int64_t n_generate = 0;
  TraceOptions options;
  bool as_json = false;
};

TracePrompt read_prompt(const TraceCommand& command, const Tokenizer& tokenizer) {
  if (command.text.empty() == command.messages.empty())
    bad_input("trace", "expected one of --text and --messages", "give one of them");
  if (command.messages.empty() && command.n_generate == 0)
    return prompt_of_text(tokenizer, text_or_stdin(command.text));
  const std::vector<ChatMessage> messages =
      command.messages.empty()
          ? std::vector<ChatMessage>{{"user", text_or_stdin(command.text)}}
          : parse_messages(read_file(command.messages, std::uint64_t{4} << 20), command.messages);
  return prompt_of_messages(tokenizer, messages, command.n_generate > 0,
                            template_arguments(command.template_arguments));
}

void print_table(const Trace& trace, const std::string& language) {
  const Json json = json_in_full(trace, language);
  for (const Json& token : json["tokens"]) {
    print("{:>5}  {}\n", token["position"].get<int>(), printable(token["text"].get<std::string>()));
    for (const Json& feature : token["features"]) {
      const Json &normalised = feature["normalised"], &text = feature["explanation"];
      print("       {:>6}  {:<18} {}\n",
            normalised.is_null() ? "" : fmt::format("{:.2f}", normalised.get<double>()),
            feature["name"].get<std::string>(), text.is_null() ? "" : text.get<std::string>());
    }
  }
}

void run_trace(const TraceCommand& command, Session& session) {
  const Subject subject = load_subject(command.subject, *session.reporter);
  TraceOptions options = command.options;
  // The published demo's way is the release's way.
  options.mask_special |= !command.subject.release.empty();
  check_options(options, subject);
  TracePrompt prompt = read_prompt(command, subject.model.tokenizer);
  if (command.n_generate > 0) {
    GenerateConfig config;
    config.max_new_tokens = command.n_generate;
    prompt = with_answer(subject.model, std::move(prompt), config, session.stop);
  }
  const Trace result = trace(subject, std::move(prompt), options);
  if (command.as_json)
    print_json(json_in_full(result, command.language));
  else
    print_table(result, command.language);
}

}  // namespace

void add_trace_command(CLI::App& app, Session& session) {
  auto options = std::make_shared<TraceCommand>();
  CLI::App* command = app.add_subcommand(
      "trace", "Every token of a text or chat with the features that are active on it");
  add_subject_options(*command, options->subject);
  command->add_option("-t,--text", options->text,
                      "A text; with --generate a user's message; - reads standard input");
  command->add_option("--messages", options->messages,
                      "JSON file: [{\"role\": ..., \"content\": ...}, ...]");
  add_template_arguments(*command, options->template_arguments);
  command->add_option("-n,--generate", options->n_generate, "Answer with at most so many tokens")
      ->check(zero_or_more());
  command->add_option("--domain", options->options.domains, "Only features of these domains");
  command->add_option("--min-score", options->options.min_score,
                      "Only features whose explanation has this score");
  command->add_option("--top", options->options.top_n, "Only so many features a token; 0: all")
      ->check(zero_or_more());
  command->add_flag("--unlisted", options->options.unlisted,
                    "Also features that the atlas does not know");
  command->add_flag("--mask-special", options->options.mask_special,
                    "Mask special tokens from attention, as the published demo does");
  command->add_option("--language", options->language, "Of the explanations")
      ->capture_default_str();
  command->add_flag("--json", options->as_json, "For machines");
  command->footer(
      "Examples:\n  safesail trace --run runs/demo --text 'The bomb was found in time.' --top 3\n"
      "  safesail trace --run runs/demo --text 'What is a hostage?' --generate 60 --json");
  command->callback(
      [=, &session] { session.action = [=, &session] { run_trace(*options, session); }; });
}

}  // namespace safesail
