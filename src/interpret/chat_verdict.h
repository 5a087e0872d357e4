// What to do about a reply: a pure function of it, so that each case of it can be tested.
#pragma once

#include <string>

#include "interpret/chat_http.h"

namespace safesail {

struct ChatVerdict {
  enum class Kind {
    answer,   ///< 200: read it
    again,    ///< after a pause
    adapt,    ///< the endpoint does not take a field of the request: leave it out, ask again
    refused,  ///< by a filter on the prompt
    failed,   ///< this request cannot be answered; others may
    end       ///< no request can be answered: end the work
  };
  Kind kind = Kind::failed;
  std::string detail;  ///< for people; from outside, so the key must be taken out of it
};

ChatVerdict judge(const HttpReply& reply);

}  // namespace safesail
