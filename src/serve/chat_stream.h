// A chat as server-sent events: queued, start, token, features, end, error; docs/diagnose.md.
#pragma once

#include <httplib.h>
#include <memory>
#include <string>

#include "diagnose/engine.h"
#include "serve/refusal.h"

namespace safesail {

/// What a visitor reads of a fault of the engine.
Refusal refusal_of(const Error& error);

/// Answers with the events of `ticket` until its end, or until the client is gone.
void stream_chat(const std::string& model, std::unique_ptr<Engine::Ticket> ticket,
                 httplib::Response& response);

}  // namespace safesail
