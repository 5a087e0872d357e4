// What to do about a reply: a pure function of it, so that each case of it can be tested.
#pragma once

#include <string>

#include "interpret/chat_http.h"

namespace safesail {

struct ChatVerdict {
  enum class Kind {
    answer,   ///< 200: read it
    again,    ///< after a pause
    refused,  ///< by a filter on the prompt
    failed,   ///< this request cannot be answered; others may
    end       ///< no request can be answered: end the work
  };
  /// Whether the endpoint may mean a field of the request, which can then be left out.
  enum class Complaint {
    none,
    if_named,  ///< where the text names the field: such statuses mean other things as a rule
    likely     ///< 400 and 422 are made for it
  };
  Kind kind = Kind::failed;
  std::string detail;  ///< for people; from outside, so the key must be taken out of it
  Complaint complaint = Complaint::none;
  std::string remedy;     ///< of an end
  bool too_long = false;  ///< failed: the model does not read so much
};

ChatVerdict judge(const HttpReply& reply);

}  // namespace safesail
