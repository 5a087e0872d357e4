#include "cli/endpoint_options.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/error.h"
#include "cli/number_checks.h"

namespace safesail {
namespace {

EndpointSettings settings_of(const EndpointOptions& options) {
  EndpointSettings settings = options.settings;
  settings.timeout = std::chrono::milliseconds(
      static_cast<std::chrono::milliseconds::rep>(options.timeout_seconds * 1000));
  check_endpoint(settings);
  return settings;
}

ApiKey key_of(const EndpointOptions& options) {
  if (!options.key_file.empty()) return ApiKey::from_file(options.key_file);
  if (!options.key_variable.empty()) return ApiKey::from_environment(options.key_variable);
  return {};
}

Price price_of(const EndpointOptions& options) {
  return options.prices.empty() ? Price{} : read_price(options.prices, options.settings.model);
}

}  // namespace

void add_endpoint_options(CLI::App& command, EndpointOptions& options) {
  EndpointSettings& settings = options.settings;
  command.add_option("--endpoint", settings.base_url,
                     "OpenAI-compatible endpoint, as in http://127.0.0.1:8080/v1");
  command.add_option("--llm", settings.model, "The model, as the endpoint calls it");
  command.add_option("--key-env", options.key_variable, "Environment variable with the API key");
  command.add_option("--key-file", options.key_file, "File with the API key in its only line");
  command.add_option("--prices", options.prices,
                     "JSON file with money per million tokens; see docs/explaining.md");
  command.add_option("--budget", options.budget.money, "Most money to spend; needs --prices")
      ->check(zero_or_more());
  command.add_option("--budget-tokens", options.budget.tokens, "Most tokens to spend");
  command.add_option("--concurrency", settings.concurrency, "Requests in flight")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command.add_option("--timeout", options.timeout_seconds, "Seconds for one attempt")
      ->check(above_zero())
      ->capture_default_str();
  command.add_flag("--answer-forms", settings.answer_forms,
                   "The endpoint is 'safesail serve --openai': read simulations from one pass");
  command
      .add_option("--thinking-tokens", settings.thinking_tokens,
                  "Tokens that an answer may spend on thinking")
      ->check(zero_or_more());
}

EndpointClient::EndpointClient(const EndpointOptions& options, Atlas& atlas, Session& session)
    : reporter_(*session.reporter), budget_(options.budget, price_of(options)), ledger_(atlas) {
  client_ = std::make_unique<ChatClient>(settings_of(options), key_of(options), budget_, &ledger_,
                                         reporter_, session.stop);
}

void EndpointClient::announce(const CostEstimate& estimate) {
  reporter_.note("estimate: " + to_string(estimate, budget_.price()));
  const Budget::Limits& limits = budget_.limits();
  if ((limits.money > 0 && estimate.money > limits.money) ||
      (limits.tokens > 0 && estimate.usage.total() > limits.tokens))
    reporter_.warn(
        "the estimate is beyond the budget: the work will stop there, and go on when "
        "the command is run again with a larger one");
  client_->expect(estimate);
}

std::string EndpointClient::spending() const {
  std::string text;
  for (const auto& [purpose, spent] : client_->spending())
    text += fmt::format(
        "  {:<16} {} answers ({} from the ledger), {} refused, {} failed; {} prompt ({} cached) + "
        "{} completion tokens{}\n",
        purpose, spent.answers, spent.from_ledger, spent.refused, spent.failed, spent.usage.prompt,
        spent.usage.cached, spent.usage.completion,
        budget_.price().known() ? fmt::format(", {:.4f} {}", spent.money, budget_.price().currency)
                                : "");
  return text;
}

}  // namespace safesail
