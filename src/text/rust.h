// Owners for what text_rs.h hands out, and its errors as exceptions.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/text_rs.h"

namespace safesail {

inline TextRsSlice slice_of(std::string_view text) {
  return {text.data(), text.size()};
}

/// Copies a string of the Rust half and frees it.
inline std::string take(TextRsString string) {
  const std::unique_ptr<TextRsString, void (*)(TextRsString*)> owner(
      &string, [](TextRsString* owned) { text_rs_string_free(*owned); });
  return std::string(string.data, string.size);
}

/// Calls `call(&out, &error)`; an error becomes an input error at `where`.
template <class T, class Call>
T rust(std::string_view where, std::string_view remedy, Call call) {
  T out{};
  TextRsString error{};
  if (!call(&out, &error)) bad_input(where, take(error), remedy);
  return out;
}

template <auto free>
struct RustDelete {
  template <class T>
  void operator()(T* object) const {
    free(object);
  }
};
using RustTokenizer = std::unique_ptr<TextRsTokenizer, RustDelete<text_rs_tokenizer_free>>;
using RustTemplate = std::unique_ptr<TextRsTemplate, RustDelete<text_rs_template_free>>;
using RustParquet = std::unique_ptr<TextRsParquet, RustDelete<text_rs_parquet_free>>;

}  // namespace safesail
