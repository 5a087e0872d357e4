// The pieces of an HTML page that stands alone: no script, nothing fetched, readable in light and
// dark and on paper. Everything here returns text; all text that goes in is escaped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace safesail::html {

/// Text as element content or attribute value.
std::string escape(std::string_view text);

/// `body` is markup.
std::string page(std::string_view title, std::string_view body);

/// The first row is the head; the first column holds names, the others numbers to the right.
std::string table(const std::vector<std::vector<std::string>>& rows);

/// Names and values side by side.
std::string facts(const std::vector<std::pair<std::string, std::string>>& rows);

}  // namespace safesail::html
