// What an answer is made of, beside its status.
#pragma once

#include <functional>
#include <httplib.h>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace safesail {

void send_json(httplib::Response& response, const nlohmann::json& json);

/// Marks the answer with `tag`, which names its content. True when the client has that content
/// already: the answer is then complete, 304.
bool has_it(const httplib::Request& request, httplib::Response& response, const std::string& tag);

/// Whether the client takes gzip.
bool takes_gzip(const httplib::Request& request);

/// Content that is asked for again and again: kept as it is sent, packed and not.
class KeptContent {
 public:
  KeptContent() = default;
  KeptContent(std::string bytes, std::string type);
  /// Without a copy; the answer may outlive this.
  void send(const httplib::Request& request, httplib::Response& response) const;

 private:
  std::string type_;
  std::shared_ptr<const std::string> bytes_, packed_;  ///< packed: gzip; null where it is no gain
};

/// JSON that is made once for each version of what it is made of. Any number of threads.
class KeptJson {
 public:
  void answer(const httplib::Request& request, httplib::Response& response,
              const std::string& version, const std::function<nlohmann::json()>& make);

 private:
  std::mutex mutex_;
  std::string version_;
  KeptContent content_;
};

}  // namespace safesail
