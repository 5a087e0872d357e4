// A server that runs while a test asks it, and a client that may send anything at all.
#pragma once

#include <arpa/inet.h>
#include <array>
#include <chrono>
#include <fmt/format.h>
#include <functional>
#include <gtest/gtest.h>
#include <httplib.h>
#include <netinet/in.h>
#include <stop_token>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "formats/json.h"

namespace safesail {

/// Runs a server's run(stop) until its end.
class Running {
 public:
  explicit Running(std::function<void(std::stop_token)> run)
      : thread_([this, run = std::move(run)] { run(stop_.get_token()); }) {}
  ~Running() { end(); }
  void end() {
    stop_.request_stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::stop_source stop_;
  std::thread thread_;
};

/// A connection on which bytes are sent as they are.
class RawClient {
 public:
  explicit RawClient(int port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const timeval patience{20, 0};  // a test that would hang fails instead
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~RawClient() { close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  /// False when the server has closed.
  bool send(std::string_view bytes) const {
    return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  /// All that comes until the server closes.
  std::string receive() const {
    std::string all;
    std::array<char, 4096> buffer{};
    for (ssize_t n = 1; n > 0;) {
      n = ::recv(socket_, buffer.data(), buffer.size(), 0);
      if (n > 0) all.append(buffer.data(), static_cast<std::size_t>(n));
    }
    return all;
  }
  /// What comes, up to `last` or until the server closes.
  std::string receive_until(std::string_view last) const {
    std::string all;
    std::array<char, 65536> buffer{};
    while (all.find(last) == all.npos) {
      const ssize_t n = ::recv(socket_, buffer.data(), buffer.size(), 0);
      if (n <= 0) break;
      all.append(buffer.data(), static_cast<std::size_t>(n));
    }
    return all;
  }
  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }

 private:
  int socket_;
};

/// A request as its bytes, with `body` as JSON.
inline std::string post_text(std::string_view path, const Json& body) {
  const std::string text = body.dump();
  return fmt::format(
      "POST {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
      "Content-Length: {}\r\n\r\n{}",
      path, text.size(), text);
}

/// Whether `is_so` within the time that a test may wait for another thread.
inline bool eventually(const std::function<bool()>& is_so) {
  for (int i = 0; i < 2000; ++i) {
    if (is_so()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

/// 404 of "HTTP/1.1 404 ..."; 0 where there is no answer.
inline int status_of(const std::string& answer) {
  return answer.starts_with("HTTP/1.1 ") ? std::atoi(answer.c_str() + 9) : 0;
}

}  // namespace safesail
