#include "cli/endpoint_options.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/error.h"
#include "base/units.h"
#include "cli/number_checks.h"

namespace safesail {
namespace {

std::unique_ptr<LocalEndpoint> local_of(const EndpointOptions& options, Reporter& reporter) {
  if (options.local.empty()) return nullptr;
  if (!options.settings.base_url.empty())
    bad_input("--local", "expected a model file or an endpoint, got both", "leave one out");
  if (!options.settings.model.empty())
    bad_input("--llm", "expected no name beside --local, which is a model", "leave it out");
  return std::make_unique<LocalEndpoint>(options.local, LoadOptions{.device = options.device},
                                         options.settings.concurrency, reporter);
}

EndpointSettings settings_of(const EndpointOptions& options, const LocalEndpoint* local) {
  EndpointSettings settings = options.settings;
  if (local != nullptr) return local->settings(settings);
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

/// What the ledger holds, whoever was asked: a budget is of the atlas, not of one start.
Budget::Spent spent_before(Atlas& atlas, const std::string& currency) {
  Budget::Spent sum;
  for (const Spending& spent : atlas.spending()) {
    if (spent.currency == currency) sum.money += spent.money;
    sum.tokens += static_cast<std::uint64_t>(spent.prompt_tokens + spent.completion_tokens);
  }
  return sum;
}

Budget budget_of(const EndpointOptions& options, Atlas& atlas) {
  const Price price =
      options.prices.empty() ? Price{} : read_price(options.prices, options.settings.model);
  return Budget(options.budget, price, spent_before(atlas, price.currency));
}

}  // namespace

void add_endpoint_options(CLI::App& command, EndpointOptions& options) {
  EndpointSettings& settings = options.settings;
  command.add_option("--endpoint", settings.base_url,
                     "OpenAI-compatible endpoint, as in http://127.0.0.1:8080/v1");
  command.add_option("--local", options.local,
                     "In place of an endpoint: a model file, which this program runs itself");
  command.add_option("--device", options.device, "Of --local: cpu, cuda or cuda:N")
      ->capture_default_str();
  command.add_option("--llm", settings.model, "The model, as the endpoint calls it");
  command.add_option("--key-env", options.key_variable, "Environment variable with the API key");
  command.add_option("--key-file", options.key_file, "File with the API key in its only line");
  command.add_option("--prices", options.prices,
                     "JSON file with money per million tokens; see docs/explaining.md");
  command
      .add_option(
          "--budget", options.budget.money,
          "Most money to spend, with all that the ledger of the atlas holds; needs --prices")
      ->check(zero_or_more());
  command.add_option("--budget-tokens", options.budget.tokens,
                     "Most tokens to spend, with all that the ledger of the atlas holds");
  command
      .add_option("--budget-seconds", options.budget.seconds,
                  "Send no request when so many seconds have passed since the first; what is under "
                  "way is finished")
      ->check(zero_or_more());
  command.add_option("--concurrency", settings.concurrency, "Requests in flight")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command.add_option("--timeout", options.timeout_seconds, "Seconds for one attempt")
      ->check(above_zero())
      ->capture_default_str();
  command.add_flag(
      "--answer-forms", settings.answer_forms,
      "The endpoint is 'safesail serve --openai': it is asked by verdicts, or lists are "
      "read from one pass");
  command.add_flag("--dry-run", options.dry_run, "Say what it would cost, and stop");
  command
      .add_option(
          "--thinking-tokens", settings.thinking_tokens,
          "Tokens that an answer may spend on thinking; --local and --answer-forms cut it there")
      ->check(zero_or_more());
  command
      .add_option("--thinking-seconds", settings.thinking_seconds,
                  "Seconds that it may beside --timeout; 0: none, of --local without a limit")
      ->check(zero_or_more());
}

EndpointClient::EndpointClient(const EndpointOptions& options, Atlas& atlas, Session& session)
    : reporter_(*session.reporter),
      local_(local_of(options, reporter_)),
      budget_(budget_of(options, atlas)),
      ledger_(atlas) {
  client_ = std::make_unique<ChatClient>(settings_of(options, local_.get()),
                                         local_ ? local_->key() : key_of(options), budget_,
                                         &ledger_, reporter_, session.stop);
}

void EndpointClient::announce(const CostEstimate& estimate) {
  reporter_.note("estimate: " + to_string(estimate, budget_.price()));
  const Budget::Limits& limits = budget_.limits();
  const Budget::Spent& earlier = budget_.earlier();
  if (earlier.tokens > 0 && (limits.money > 0 || limits.tokens > 0))
    reporter_.note(
        fmt::format("the ledger holds {} tokens and {:.4g} {} of earlier requests, which count "
                    "towards the budget",
                    earlier.tokens, earlier.money, budget_.price().currency));
  if ((limits.money > 0 && earlier.money + estimate.money > limits.money) ||
      (limits.tokens > 0 && earlier.tokens + estimate.usage.total() > limits.tokens))
    reporter_.warn(
        "the estimate is beyond the budget: the work will stop there, and go on when "
        "the command is run again with a larger one");
  if (local_) local_seconds_ = local_->state(estimate, reporter_);
  if (limits.seconds > 0 && local_seconds_ > limits.seconds)
    reporter_.warn(
        fmt::format("that is beyond the {} of the budget: the work will stop there, and "
                    "go on when the command is run again",
                    human_duration(limits.seconds)));
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

Json EndpointClient::spending_json() const {
  Json json = Json::object();
  for (const auto& [purpose, spent] : client_->spending())
    json[purpose] = {{"answers", spent.answers},
                     {"from_ledger", spent.from_ledger},
                     {"refused", spent.refused},
                     {"failed", spent.failed},
                     {"requests", spent.n_requests},
                     {"prompt_tokens", spent.usage.prompt},
                     {"cached_tokens", spent.usage.cached},
                     {"completion_tokens", spent.usage.completion},
                     {"money", spent.money}};
  return json;
}

Json EndpointClient::json_of(const CostEstimate& estimate) const {
  return {
      {"seconds", local_ ? Json(local_seconds_) : Json()},
      {"requests", estimate.requests},
      {"answered_before", estimate.answered},
      {"prompt_tokens", estimate.usage.prompt},
      {"completion_tokens", estimate.usage.completion},
      {"money", budget_.price().known() ? Json(estimate.money) : Json()},
      {"currency", currency()},
      {"spent_before", {{"tokens", budget_.earlier().tokens}, {"money", budget_.earlier().money}}}};
}

}  // namespace safesail
