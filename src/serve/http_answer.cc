#include "serve/http_answer.h"

#include <algorithm>
#include <cctype>
#include <utility>
#include <zlib.h>

#include "base/error.h"
#include "formats/json.h"

namespace safesail {
namespace {

std::string gzip(std::string_view bytes) {
  z_stream stream{};
  constexpr int kGzipWindow = 15 + 16;
  SAFESAIL_CHECK(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindow, 8,
                              Z_DEFAULT_STRATEGY) == Z_OK);
  std::string packed(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const int status = deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  SAFESAIL_CHECK(status == Z_STREAM_END);
  return packed;
}

}  // namespace

void send_json(httplib::Response& response, const nlohmann::json& json) {
  response.set_content(dump_json(json), "application/json");
}

bool has_it(const httplib::Request& request, httplib::Response& response, const std::string& tag) {
  response.set_header("ETag", '"' + tag + '"');
  response.set_header("Vary", "Accept-Encoding");
  // A list of tags, of which a proxy may have made ours weak.
  if (request.get_header_value("If-None-Match").find('"' + tag + '"') == std::string::npos)
    return false;
  response.status = 304;
  return true;
}

bool takes_gzip(const httplib::Request& request) {
  std::string accepted = request.get_header_value("Accept-Encoding");
  std::ranges::transform(accepted, accepted.begin(),
                         [](unsigned char c) { return std::tolower(c); });
  const std::size_t at = accepted.find("gzip");
  if (at == accepted.npos) return false;
  const std::string rest = accepted.substr(at, accepted.find(',', at) - at);
  const std::size_t weight = rest.find("q=");
  return weight == rest.npos || rest.find_first_of("123456789", weight) != rest.npos;
}

KeptContent::KeptContent(std::string bytes, std::string type)
    : type_(std::move(type)), bytes_(std::make_shared<const std::string>(std::move(bytes))) {
  std::string packed = gzip(*bytes_);
  if (packed.size() < bytes_->size() / 10 * 9)
    packed_ = std::make_shared<const std::string>(std::move(packed));
}

void KeptContent::send(const httplib::Request& request, httplib::Response& response) const {
  std::shared_ptr<const std::string> bytes = bytes_;
  if (packed_ != nullptr && takes_gzip(request)) {
    response.set_header("Content-Encoding", "gzip");
    bytes = packed_;
  }
  response.status = 200;
  if (bytes->empty()) return;
  // httplib would copy, and pack once more, what is given to it as a body.
  response.set_content_provider(bytes->size(), type_,
                                [bytes](std::size_t offset, std::size_t length, auto& sink) {
                                  return sink.write(bytes->data() + offset, length);
                                });
}

void KeptJson::answer(const httplib::Request& request, httplib::Response& response,
                      const std::string& version, const std::function<nlohmann::json()>& make) {
  response.set_header("Cache-Control", "private, no-cache");
  if (has_it(request, response, version)) return;
  KeptContent content;
  {
    const std::scoped_lock lock(mutex_);
    if (version_ != version) {
      content_ = KeptContent(dump_json(make()), "application/json");
      version_ = version;
    }
    content = content_;
  }
  content.send(request, response);
}

}  // namespace safesail
