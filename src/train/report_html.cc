#include "train/report_html.h"

#include <fmt/format.h>

namespace safesail::html {
namespace {

// Colours are variables so that plots follow the page into the dark and onto paper.
constexpr const char* kStyle = R"css(
:root { color-scheme: light dark;
  --back: #ffffff; --text: #1d2330; --soft: #5c6578; --line: #d8dce5; --panel: #f6f7fa;
  --c0: #2f6db5; --c1: #cf5d20; --c2: #2d8653; --c3: #9a4a9e; --c4: #a97c00; --c5: #12808f;
  --c6: #b8344a; --c7: #5d6472; }
@media (prefers-color-scheme: dark) { :root {
  --back: #14171d; --text: #e6e9ef; --soft: #9aa4b5; --line: #313947; --panel: #1b2029;
  --c0: #7db2f2; --c1: #f39a66; --c2: #6fcf97; --c3: #d996dc; --c4: #e4bf52; --c5: #5fcad8;
  --c6: #f2889a; --c7: #b3bac7; } }
@media print { :root { color-scheme: light;
  --back: #ffffff; --text: #000000; --soft: #444444; --line: #bbbbbb; --panel: #ffffff;
  --c0: #2f6db5; --c1: #cf5d20; --c2: #2d8653; --c3: #9a4a9e; --c4: #a97c00; --c5: #12808f;
  --c6: #b8344a; --c7: #5d6472; }
  figure, tr { break-inside: avoid; } h2, h3 { break-after: avoid; }
  main { max-width: none; padding: 0; } .wide { overflow: visible; } table { font-size: 7pt; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 16px; }
h2 { font-size: 19px; margin: 40px 0 4px; } h3 { font-size: 15px; margin: 20px 0 6px; }
p { margin: 4px 0 12px; color: var(--soft); max-width: 78ch; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 0;
  background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.row { display: grid; gap: 16px; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); }
.two { grid-template-columns: repeat(auto-fit, minmax(min(440px, 100%), 1fr)); }
.three { grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr)); }
figure { margin: 0; } figcaption { font-weight: 600; font-size: 14px; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font-size: 12px; } svg .axis { stroke: var(--line); }
svg .title { fill: var(--text); } svg .grid { stroke: var(--line); stroke-opacity: .6; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 4px 0 10px; padding: 0;
  list-style: none; font-size: 13px; color: var(--soft); }
.legend svg { display: inline-block; width: 22px; height: 12px; vertical-align: -1px;
  margin-right: 6px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th { font-weight: 600; color: var(--soft); vertical-align: bottom; }
th, td { padding: 4px 10px; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
)css";

}  // namespace

std::string escape(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

std::string page(std::string_view title, std::string_view body) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{0}</title>\n<style>{1}</style>\n</head>\n<body>\n<main>\n<h1>{0}</h1>\n{2}</main>\n"
      "</body>\n</html>\n",
      escape(title), kStyle, body);
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::string text = "<div class=\"wide\"><table>\n";
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const char* tag = r == 0 ? "th" : "td";
    text += "<tr>";
    for (const std::string& cell : rows[r])
      text += fmt::format("<{0}>{1}</{0}>", tag, escape(cell));
    text += "</tr>\n";
  }
  return text + "</table></div>\n";
}

std::string facts(const std::vector<std::pair<std::string, std::string>>& rows) {
  std::string text = "<dl>\n";
  for (const auto& [name, value] : rows)
    text += fmt::format("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(value));
  return text + "</dl>\n";
}

}  // namespace safesail::html
