#include "cli/model_options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <fmt/format.h>
#include <iostream>
#include <iterator>

#include "base/error.h"
#include "text/chat.h"

namespace safesail {

LoadOptions ModelOptions::load_options() const {
  return {.dtype = dtype == "f32" ? ComputeType::f32 : ComputeType::bf16, .device = device};
}

std::optional<ModelIdentity> ModelOptions::identity() const {
  if (any_model) return std::nullopt;
  return ModelIdentity(path);
}

void add_any_model_option(CLI::App& command, ModelOptions& options) {
  command.add_flag("--any-model", options.any_model,
                   "Take SAEs that were trained on another model or tokenizer, too");
}

void add_model_options(CLI::App& command, ModelOptions& options, const char* dtype_default) {
  options.dtype = dtype_default;
  command.add_option("-m,--model", options.path, "Model: a Hugging Face folder or a .gguf file")
      ->required();
  command.add_option("--dtype", options.dtype, "Precision of the model")
      ->check(CLI::IsMember({"f32", "bf16"}))
      ->capture_default_str();
  command.add_option("--device", options.device, "cpu, cuda or cuda:N")->capture_default_str();
}

std::vector<std::int32_t> parse_ids(const std::string& text) {
  std::vector<std::int32_t> ids;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    std::int32_t id = 0;
    const auto [next, error] = std::from_chars(at, end, id);
    if (error != std::errc() || (next < end && *next != ','))
      bad_input("--ids", fmt::format("expected numbers separated by commas, got \"{}\"", text),
                "write them as in --ids 1,2,3");
    ids.push_back(id);
    at = next < end ? next + 1 : next;
  }
  return ids;
}

void add_template_arguments(CLI::App& command, std::string& text) {
  command.add_option(
      "--chat-template-kwargs", text,
      "JSON object of variables for the chat template: '{\"enable_thinking\": false}'");
}

Json template_arguments(const std::string& text) {
  return text.empty() ? Json() : parse_template_arguments(text, "--chat-template-kwargs");
}

std::string text_or_stdin(const std::string& text) {
  if (text != "-") return text;
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

}  // namespace safesail
