// One connection of a server, as httplib reads and writes it, with the bounds that httplib lacks: a
// request must arrive whole within a time and a size, an answer must be taken within a time.
//
// Owns the socket. One thread. A request that is late or too long is a Refusal (408, 413), thrown
// out of the read; a client that left, or a stop, ends the reading.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <httplib.h>
#include <string>

namespace safesail {

struct ConnectionLimits {
  std::chrono::milliseconds request_time{15'000};  ///< from a request's first byte to its last
  std::chrono::milliseconds answer_time{30'000};   ///< that one write may take
  std::uint64_t request_bytes = std::uint64_t{4} << 20;
};

class HttpConnection final : public httplib::Stream {
 public:
  /// `stop_fd` becomes readable when the server ends.
  HttpConnection(int socket, int stop_fd, const ConnectionLimits& limits);
  ~HttpConnection() override;
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  /// Waits for the next request, up to `idle`; false when there is none.
  bool wait_for_request(std::chrono::milliseconds idle);
  /// Its time and size count from here.
  void begin_request();
  /// A request was late or too long: what else comes on this connection means nothing.
  bool is_broken() const { return is_broken_; }
  /// Whether the server ends.
  bool has_ended() const;
  /// Says that no more comes and lets the client read it: what it still sends is thrown away for a
  /// moment, since closing on unread bytes would destroy the answer on its way.
  void linger();
  /// The two halves of it: says that no more comes, and gives the client its moment...
  void end_answers();
  /// ...and throws away what has come, without waiting; false when the connection may be closed.
  bool throw_away();

  bool is_readable() const override;
  /// False also when the client has left.
  bool is_writable() const override;
  ssize_t read(char* to, std::size_t n) override;
  ssize_t write(const char* from, std::size_t n) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  int socket() const override { return socket_; }

 private:
  using Clock = std::chrono::steady_clock;
  /// Waits for `events` on the socket; false at `until`, or when the server ends.
  bool wait(short events, Clock::time_point until) const;

  const int socket_, stop_fd_;
  const ConnectionLimits limits_;
  Clock::time_point deadline_;
  std::uint64_t n_read_ = 0;  ///< of this request
  std::array<char, 4096> buffer_{};
  bool is_broken_ = false;
  std::size_t begin_ = 0, end_ = 0;  ///< bytes that are read and not yet taken
};

}  // namespace safesail
