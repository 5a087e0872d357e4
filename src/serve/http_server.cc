#include "serve/http_server.h"

#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "base/error.h"
#include "serve/http_answer.h"

namespace safesail {
namespace {

constexpr std::size_t kMaxPathBytes = 512;
constexpr std::uint64_t kHeaderBytes = std::uint64_t{64} << 10;
constexpr int kBacklog = 512;
constexpr auto kBusyCheck = std::chrono::milliseconds(250);

const httplib::Headers& headers_of_all() {
  static const httplib::Headers headers = {
      {"Content-Security-Policy",
       "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; connect-src 'self'; "
       "base-uri 'none'; frame-ancestors 'none'; form-action 'none'; object-src 'none'"},
      {"X-Content-Type-Options", "nosniff"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Cross-Origin-Resource-Policy", "same-origin"}};
  return headers;
}

/// In a time that does not depend on how much is right.
bool same(std::string_view a, std::string_view b) {
  unsigned differs = a.size() != b.size();
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i)
    differs |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  return differs == 0;
}

/// Header values that are names do not mind their case (RFC 9110, 4.2.3 and 8.3.1).
std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

/// The request's Host without its port.
std::string host_of(const httplib::Request& request) {
  std::string host = request.get_header_value("Host");
  if (const auto colon = host.rfind(':'); colon != host.npos && host.find(']', colon) == host.npos)
    host.resize(colon);
  return host;
}

/// The whole header line, as ApiKey has it.
std::string authorization_of(const httplib::Request& request) {
  constexpr std::string_view kScheme = "Bearer ";
  std::string value = request.get_header_value("Authorization");
  if (lower(value.substr(0, kScheme.size())) == "bearer ")
    value.replace(0, kScheme.size(), kScheme);
  return "Authorization: " + value;
}

/// "application/json" of "application/json; charset=utf-8".
std::string media_type_of(const httplib::Request& request) {
  std::string type = lower(request.get_header_value("Content-Type"));
  type.resize(std::min(type.find(';'), type.size()));
  type.erase(type.find_last_not_of(" \t") + 1);
  return type;
}

/// "/features/{id}" as a regular expression.
std::string pattern_of(const std::string& path) {
  std::string pattern;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '{') {
      i = path.find('}', i);
      pattern += path[i - 1] == '.' ? "(.+)" : "([^/]+)";
    } else {
      if (path[i] == '.') pattern += '\\';
      pattern += path[i];
    }
  }
  return pattern;
}

Refusal bad_request(std::string message, std::string remedy) {
  return {400, "bad_request", std::move(message), std::move(remedy)};
}

/// Only bodies whose length is known beforehand and fits, of a form that other sites' pages cannot
/// send, and where a body belongs: all else could be read as the next request.
void check_body(const httplib::Request& request, std::uint64_t max_bytes) {
  const bool chunked = request.has_header("Transfer-Encoding");
  const std::string length = request.get_header_value("Content-Length");
  const bool is_post = request.method == "POST";
  if (request.get_header_value_count("Content-Length") > 1 ||
      length.find_first_not_of("0123456789") != length.npos ||
      (chunked && (!length.empty() || request.get_header_value("Transfer-Encoding") != "chunked")))
    throw bad_request("the length of the body is not clear", "send one Content-Length");
  if (length.size() > 18 || (!length.empty() && std::stoull(length) > max_bytes))
    throw Refusal(413, "too_large",
                  fmt::format("expected a body of at most {} bytes, got more", max_bytes),
                  "send less at once");
  const bool has_body = chunked || length.find_first_not_of('0') != length.npos;
  if (has_body && !is_post)
    throw bad_request(fmt::format("a {} request takes no body", request.method),
                      "leave the body out");
  if (is_post && media_type_of(request) != "application/json")
    throw Refusal(415, "unsupported_media_type", "expected a body of type application/json",
                  "send the header Content-Type: application/json");
  if (has_body && request.has_header("Content-Encoding"))
    throw Refusal(415, "unsupported_media_type", "expected a body that is not compressed",
                  "send it as it is");
}

}  // namespace

bool is_loopback(std::string_view name) {
  const std::string host = lower(std::string(name));
  const bool is_number = host.find_first_not_of("0123456789.") == host.npos;
  return (is_number && host.starts_with("127.")) || host == "localhost" || host == "::1" ||
         host == "[::1]";
}

HttpServer::HttpServer(const HttpOptions& options, Reporter& reporter, ErrorBody error_body)
    : options_(options), reporter_(reporter), error_body_(std::move(error_body)) {
  if (!is_loopback(options_.host) && options_.token.empty() && !options_.open)
    bad_input(options_.host, "others reach this address, and there is no token",
              "name a variable that holds one with --token-env, or serve on 127.0.0.1");
  set_default_headers(headers_of_all());
  set_tcp_nodelay(true);  // an answer is two writes
  // Without SO_REUSEPORT: a port that is taken must not be shared in silence.
  set_socket_options([](int socket) {
    const int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  set_keep_alive_timeout(std::chrono::ceil<std::chrono::seconds>(options_.idle_time).count());
  set_keep_alive_max_count(1'000'000);
  set_payload_max_length(options_.limits.request_bytes);
  new_task_queue = [this] {
    return threads_ = new ConnectionThreads(options_.max_connections, options_.max_connections);
  };
  set_exception_handler([this](const auto&, auto& response, std::exception_ptr fault) {
    answer_fault(response, std::move(fault));
  });
  set_error_handler(
      [this](const auto& request, auto& response) { answer_status(request, response); });

  const bool bound = options_.port == 0 ? (port_ = bind_to_any_port(options_.host)) > 0
                                        : bind_to_port(options_.host, port_ = options_.port);
  if (!bound)
    failed(fmt::format("{}:{}", options_.host, options_.port),
           "expected an address that is free, got one that is not",
           "choose another --port or --host");
  ::listen(svr_sock_, kBacklog);  // httplib's own is 5
  stop_fd_ = ::eventfd(0, EFD_CLOEXEC);
  if (stop_fd_ < 0) failed("server", "the system gives no event", "close other programs");
}

HttpServer::~HttpServer() {
  ::close(stop_fd_);
}

void HttpServer::add(const char* method, const std::string& path) {
  routes_.push_back({method, path, std::regex(pattern_of(path))});
}

void HttpServer::get(const std::string& path, Handler handler) {
  add("GET", path);
  Get(pattern_of(path), std::move(handler));
}

void HttpServer::post(const std::string& path, Handler handler) {
  add("POST", path);
  Post(pattern_of(path), std::move(handler));
}

void HttpServer::get_else(Handler handler) {
  Get(".*", std::move(handler));
}

void HttpServer::run(std::stop_token stop) {
  std::atomic<bool> listens = true, wake = false;
  const auto rouse = [&] {
    wake = true;
    wake.notify_all();
  };
  std::thread listening([&] {
    accepting_ = std::this_thread::get_id();
    listen_after_bind();
    listens = false;
    rouse();
  });
  {
    const std::stop_callback on_stop(stop, rouse);
    wake.wait(false);
  }
  const std::uint64_t one = 1;
  if (::write(stop_fd_, &one, sizeof one) < 0) reporter_.warn("connections may end late");
  // A server that does not run yet cannot be stopped.
  while (listens && !is_running()) std::this_thread::yield();
  Server::stop();
  listening.join();
}

bool HttpServer::process_and_close_socket(socket_t socket) {
  ConnectionLimits limits = options_.limits;
  limits.request_bytes += kHeaderBytes;
  auto connection = std::make_unique<HttpConnection>(socket, stop_fd_, limits);
  try {
    if (std::this_thread::get_id() == accepting_) {
      refuse(*connection, {503, "busy", "too many connections wait", "try again in a moment"});
      refused_.add(std::move(connection));
    } else {
      serve(*connection);
    }
  } catch (const Refusal& refusal) {
    refuse(*connection, refusal);
    connection->linger();
  } catch (const std::exception&) {
    reporter_.warn("a connection met a fault inside");
  }
  return true;
}

/// Names the connection of a request, while it lasts.
class HttpServer::UnderWay {
 public:
  UnderWay(HttpServer& server, const HttpConnection& connection)
      : server_(server), connection_(connection) {}
  ~UnderWay() {
    const std::scoped_lock lock(server_.mutex_);
    server_.under_way_.erase(request_);
  }
  UnderWay(const UnderWay&) = delete;
  UnderWay& operator=(const UnderWay&) = delete;
  void begin(const httplib::Request& request) {
    const std::scoped_lock lock(server_.mutex_);
    request_ = &request;
    server_.under_way_[request_] = &connection_;
  }

 private:
  HttpServer& server_;
  const HttpConnection& connection_;
  const httplib::Request* request_ = nullptr;
};

bool HttpServer::client_is_there(const httplib::Request& request) const {
  const std::scoped_lock lock(mutex_);
  const auto found = under_way_.find(&request);
  return found != under_way_.end() && found->second->is_writable();
}

void HttpServer::serve(HttpConnection& connection) {
  for (bool last = false; !last;) {
    // When others wait, one that idles makes room.
    const auto until = std::chrono::steady_clock::now() + options_.idle_time;
    while (!connection.wait_for_request(kBusyCheck))
      if (threads_->others_wait() || connection.has_ended() ||
          std::chrono::steady_clock::now() >= until)
        return;
    connection.begin_request();
    last = threads_->others_wait();
    bool closed = false, understood = false;
    UnderWay under_way(*this, connection);
    const auto on_headers = [&](httplib::Request& request) {
      understood = true;
      admit(request);
      under_way.begin(request);
      // What remains of a chunked body that is wrong would be taken for a request.
      last = last || request.has_header("Transfer-Encoding");
    };
    if (!process(connection, last, closed, on_headers) || closed) return;
    // So would what follows on something that is none, or that came only in part.
    if (!understood || connection.is_broken()) return connection.linger();
  }
}

bool HttpServer::process(HttpConnection& connection, bool close, bool& closed,
                         const std::function<void(httplib::Request&)>& on_headers) {
  // Newer httplibs want both ends' addresses, which nobody reads here.
  const auto process_on = [&](auto& stream) {
    if constexpr (requires {
                    this->process_request(stream, "", 0, "", 0, close, closed, on_headers);
                  })
      return this->process_request(stream, "", 0, "", 0, close, closed, on_headers);
    else
      return this->process_request(stream, close, closed, on_headers);
  };
  return process_on(connection);
}

void HttpServer::admit(httplib::Request& request) const {
  if (request.path.size() > kMaxPathBytes)
    throw Refusal(414, "bad_request", "the path is too long", "ask for one that is there");
  if (request.get_header_value_count("Host") > 1)  // RFC 9112, 3.2
    throw bad_request("expected one Host, got several", "send one Host");
  // A page whose name was made to point here still sends its own name.
  if (is_loopback(options_.host) && !is_loopback(host_of(request)))
    throw Refusal(403, "forbidden", "this endpoint answers this machine only",
                  "ask it by the name localhost or 127.0.0.1");
  if (!options_.token.empty() && request.path.starts_with(options_.guarded) &&
      !same(authorization_of(request), options_.token.authorization()))
    throw Refusal(401, "unauthorized", "expected the key of this endpoint",
                  "send the header Authorization: Bearer KEY");
  if (request.method != "GET" && request.method != "HEAD" && request.method != "POST")
    throw not_routed(request.path);
  check_body(request, options_.limits.request_bytes);
  // Of the encodings only gzip is spoken: httplib's brotli is too slow for answers made on demand.
  const bool gzip = takes_gzip(request);
  request.headers.erase("Accept-Encoding");
  if (gzip) request.headers.emplace("Accept-Encoding", "gzip");
  request.ranges.clear();
  // Without a length there is no body; httplib would read on until the client ends.
  if (!request.has_header("Content-Length") && !request.has_header("Transfer-Encoding"))
    request.headers.emplace("Content-Length", "0");
}

void HttpServer::refuse(httplib::Response& response, const Refusal& refusal) const {
  response.status = refusal.status;
  if (refusal.status == 503) response.set_header("Retry-After", "1");
  if (!refusal.allow.empty()) response.set_header("Allow", refusal.allow);
  if (refusal.status == 401) response.set_header("WWW-Authenticate", "Bearer");
  response.set_header("Cache-Control", "no-store");
  response.set_content(error_body_(refusal), "application/json");
}

/// Before there is a request that could be routed.
void HttpServer::refuse(HttpConnection& connection, const Refusal& refusal) const {
  httplib::Response response;
  response.headers = headers_of_all();
  refuse(response, refusal);
  std::string text =
      fmt::format("HTTP/1.1 {} Refused\r\nConnection: close\r\nContent-Length: {}\r\n",
                  refusal.status, response.body.size());
  for (const auto& [name, value] : response.headers) text += fmt::format("{}: {}\r\n", name, value);
  text += "\r\n" + response.body;
  connection.write(text.data(), text.size());
}

void HttpServer::answer_fault(httplib::Response& response, std::exception_ptr fault) const {
  std::optional<Refusal> refusal;
  try {
    std::rethrow_exception(std::move(fault));
  } catch (const std::exception& known) {
    refusal = refusal_for(known);
  } catch (...) {  // what is no exception is a bug, too
  }
  if (!refusal) reporter_.warn("a request met a fault inside");
  refuse(response, refusal ? *refusal : internal_fault());
}

Refusal HttpServer::not_routed(const std::string& path) const {
  std::string allowed;
  for (const Route& route : routes_)
    if (std::regex_match(path, route.matches))
      allowed +=
          (allowed.empty() ? "" : ", ") + route.method + (route.method == "GET" ? ", HEAD" : "");
  if (allowed.empty()) return {404, "not_found", "there is nothing here", options_.help};
  Refusal refusal{405, "bad_request", fmt::format("expected one of {}", allowed), options_.help};
  refusal.allow = allowed;
  return refusal;
}

/// What httplib answers by itself has a status and no body.
void HttpServer::answer_status(const httplib::Request& request, httplib::Response& response) const {
  if (!response.body.empty()) return;
  if (response.status == 404)
    refuse(response, not_routed(request.path));
  else
    refuse(response, {response.status, code_of_status(response.status),
                      fmt::format("HTTP {}", response.status), "send a correct request"});
}

}  // namespace safesail
