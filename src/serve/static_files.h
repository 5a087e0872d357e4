// The files of the page, read whole into memory once: only what lay in the folder at the start can
// be asked for, by its exact name, so no path leads out of it.
//
// Immutable; any number of threads.
#pragma once

#include <map>
#include <string>

#include "base/file.h"
#include "serve/http_answer.h"
#include "serve/http_server.h"

namespace safesail {

class StaticFiles {
 public:
  /// Regular files below `folder`, no links. An input error when there are too many, or no
  /// index.html.
  explicit StaticFiles(const fs::path& folder);

  /// Answers "/" and all that no route answers. The files outlive the server.
  void mount(HttpServer& server) const;

 private:
  struct File {
    KeptContent content;
    std::string tag;
    bool is_immutable = false;  ///< named by a hash of its content
  };
  void answer(const httplib::Request& request, httplib::Response& response) const;

  std::map<std::string, File> files_;  ///< by "/assets/index-abc.js"; "/" is the page itself
};

/// Where there is no page: "/" says how it is built.
void mount_no_page(HttpServer& server);

}  // namespace safesail
