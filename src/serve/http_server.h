// What every server of ours is made of: an address, routes, and the answers to everything that is
// not a good request.
//
// On a loopback address only pages and programs of this machine are answered: a page of another
// site cannot ask (Host checked, no CORS, JSON bodies only). On any other address a token is
// wanted (compared in constant time). A request has a size and a time, an answer has a time; when
// too many connections wait, further ones get 503. Whatever a handler throws becomes an answer: a
// Refusal itself, an input Error 400, all else 500. Nothing that was asked is logged.
//
// Handlers run on many threads at once. A connection holds a thread while it lasts.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <httplib.h>
#include <map>
#include <mutex>
#include <regex>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/report.h"
#include "interpret/endpoint.h"
#include "serve/connection_threads.h"
#include "serve/farewells.h"
#include "serve/http_connection.h"
#include "serve/refusal.h"

namespace safesail {

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 0;                                   ///< 0: any that is free
  ApiKey token;                                   ///< requests must bring it; empty: none
  std::string guarded = "/";                      ///< ... below this path
  bool open = false;                              ///< others, too, may reach it without a token
  std::string help = "see /api/v1/openapi.json";  ///< for who asks for what is not here
  ConnectionLimits limits;
  std::chrono::milliseconds idle_time{15'000};  ///< that a connection is kept between requests
  std::size_t max_connections = 256;            ///< served at once; as many more may wait
};

bool is_loopback(std::string_view host);

class HttpServer : private httplib::Server {
 public:
  using Handler = std::function<void(const httplib::Request&, httplib::Response&)>;
  using ErrorBody = std::function<std::string(const Refusal&)>;
  struct Route {
    std::string method;  ///< "GET"
    std::string path;    ///< "/api/v1/features/{id}"
    std::regex matches;
  };

  /// Takes the port: an environment error when it is not free. `reporter` outlives the server.
  HttpServer(const HttpOptions& options, Reporter& reporter, ErrorBody error_body = error_json);
  ~HttpServer() override;

  /// Before run(). "{id}" in a path is any text without a slash, "{id...}" any text;
  /// request.matches[1] and so on. GET answers HEAD too; POST wants a JSON body.
  void get(const std::string& path, Handler handler);
  void post(const std::string& path, Handler handler);
  /// All other GET requests.
  void get_else(Handler handler);
  const std::vector<Route>& routes() const { return routes_; }

  /// Whether the client of a request that a handler works on still waits for the answer.
  bool client_is_there(const httplib::Request& request) const;

  int port() const { return port_; }
  /// Serves until `stop`; answers under way are waited for.
  void run(std::stop_token stop);

 private:
  class UnderWay;

  bool process_and_close_socket(socket_t socket) override;
  void serve(HttpConnection& connection);
  /// One request; whether it was answered.
  bool process(HttpConnection& connection, bool close, bool& closed,
               const std::function<void(httplib::Request&)>& on_headers);
  void admit(httplib::Request& request) const;
  void refuse(httplib::Response& response, const Refusal& refusal) const;
  void refuse(HttpConnection& connection, const Refusal& refusal) const;
  /// The refusal of a request that no route answers.
  Refusal not_routed(const std::string& path) const;
  void answer_fault(httplib::Response& response, std::exception_ptr fault) const;
  void answer_status(const httplib::Request& request, httplib::Response& response) const;
  void add(const char* method, const std::string& path);

  const HttpOptions options_;
  Reporter& reporter_;
  const ErrorBody error_body_;
  std::vector<Route> routes_;
  int port_ = 0;
  int stop_fd_ = -1;  ///< readable from the stop on
  ConnectionThreads* threads_ = nullptr;
  std::thread::id accepting_;
  Farewells refused_;
  mutable std::mutex mutex_;
  std::map<const httplib::Request*, const HttpConnection*> under_way_;
};

}  // namespace safesail
