#include "serve/http_connection.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve/refusal.h"

namespace safesail {
namespace {

using namespace std::chrono_literals;

constexpr auto kLinger = 1s;
/// A client that does not take its answer is left behind after this, when the server ends.
constexpr auto kLastWrite = 2s;

void name_of(const sockaddr_storage& address, socklen_t size, std::string& ip, int& port) {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> service{};
  if (::getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, host.data(), host.size(),
                    service.data(), service.size(), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return;
  ip = host.data();
  port = std::atoi(service.data());
}

int milliseconds_until(std::chrono::steady_clock::time_point until) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000));
}

}  // namespace

HttpConnection::HttpConnection(int socket, int stop_fd, const ConnectionLimits& limits)
    : socket_(socket), stop_fd_(stop_fd), limits_(limits) {
  begin_request();
}

HttpConnection::~HttpConnection() {
  ::shutdown(socket_, SHUT_RDWR);
  ::close(socket_);
}

bool HttpConnection::wait(short events, Clock::time_point until) const {
  for (;;) {
    std::array<pollfd, 2> fds = {{{socket_, events, 0}, {stop_fd_, POLLIN, 0}}};
    const int n = ::poll(fds.data(), fds.size(), milliseconds_until(until));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    return fds[0].revents != 0 && fds[1].revents == 0;
  }
}

bool HttpConnection::wait_for_request(std::chrono::milliseconds idle) {
  return begin_ < end_ || wait(POLLIN, Clock::now() + idle);
}

void HttpConnection::begin_request() {
  deadline_ = Clock::now() + limits_.request_time;
  n_read_ = end_ - begin_;
}

bool HttpConnection::has_ended() const {
  pollfd fd{stop_fd_, POLLIN, 0};
  return ::poll(&fd, 1, 0) > 0;
}

void HttpConnection::end_answers() {
  ::shutdown(socket_, SHUT_WR);
  deadline_ = Clock::now() + kLinger;
}

bool HttpConnection::throw_away() {
  for (;;) {
    const ssize_t n = ::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (n > 0 || (n < 0 && errno == EINTR)) continue;
    const bool more_may_come = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    return more_may_come && Clock::now() < deadline_;
  }
}

void HttpConnection::linger() {
  end_answers();
  while (throw_away() && wait(POLLIN, deadline_)) {
  }
}

bool HttpConnection::is_readable() const {
  return begin_ < end_ || wait(POLLIN, Clock::now());
}

bool HttpConnection::is_writable() const {
  pollfd fd{socket_, POLLOUT | POLLRDHUP, 0};
  return ::poll(&fd, 1, 0) >= 0 && (fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0;
}

ssize_t HttpConnection::read(char* to, std::size_t n) {
  if (begin_ == end_) {
    is_broken_ = true;
    if (n_read_ >= limits_.request_bytes)
      throw Refusal(413, "too_large", "the request is too large", "send less at once");
    if (!wait(POLLIN, deadline_)) {
      if (has_ended()) return -1;
      throw Refusal(408, "bad_request", "the request did not arrive in time", "send it at once");
    }
    const ssize_t n_came = ::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (n_came <= 0) return n_came;
    is_broken_ = false;
    begin_ = 0;
    end_ = static_cast<std::size_t>(n_came);
    n_read_ += end_;
  }
  const std::size_t n_taken = std::min(n, end_ - begin_);
  std::memcpy(to, buffer_.data() + begin_, n_taken);
  begin_ += n_taken;
  return static_cast<ssize_t>(n_taken);
}

ssize_t HttpConnection::write(const char* from, std::size_t n) {
  Clock::time_point until = Clock::now() + limits_.answer_time;
  bool ends = false;
  std::size_t n_sent = 0;
  while (n_sent < n) {
    const ssize_t sent = ::send(socket_, from + n_sent, n - n_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      n_sent += static_cast<std::size_t>(sent);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return -1;
    pollfd fd{socket_, POLLOUT, 0};
    if (!ends && has_ended()) {
      ends = true;
      until = std::min(until, Clock::now() + kLastWrite);
    }
    const int wait_ms = std::min(milliseconds_until(until), 500);
    if (wait_ms == 0 || ::poll(&fd, 1, wait_ms) < 0) return -1;
  }
  return static_cast<ssize_t>(n);
}

void HttpConnection::get_remote_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getpeername(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0)
    name_of(address, size, ip, port);
}

void HttpConnection::get_local_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0)
    name_of(address, size, ip, port);
}

}  // namespace safesail
