#include "text/stream_decoder.h"

#include <span>
#include <string_view>

namespace safesail {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

}  // namespace

std::string StreamDecoder::add(std::int32_t id) {
  ids_.push_back(id);
  const std::span<const std::int32_t> ids(ids_);
  const std::string before = tokenizer_.decode(ids.subspan(window_, given_ - window_), true);
  const std::string now = tokenizer_.decode(ids.subspan(window_), true);
  if (now.size() <= before.size() || now.ends_with(kReplacement)) return {};
  window_ = given_;
  given_ = ids_.size();
  return now.substr(before.size());
}

std::string StreamDecoder::finish() {
  const std::span<const std::int32_t> ids(ids_);
  const std::string before = tokenizer_.decode(ids.subspan(window_, given_ - window_), true);
  const std::string now = tokenizer_.decode(ids.subspan(window_), true);
  window_ = given_ = ids_.size();
  return now.size() > before.size() ? now.substr(before.size()) : std::string();
}

}  // namespace safesail
