// The restricted interpreter of pickles behind torch_pickle.h; see there for what it knows.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "formats/strided.h"
#include "formats/torch_pickle.h"

namespace safesail {

/// The bytes of the storage with this key, which must hold exactly `n_bytes`; throws otherwise.
using FindStorage =
    std::function<std::span<const std::byte>(const std::string& key, std::uint64_t n_bytes)>;

/// What a pickle gives: every value and the copies of tensors that are not contiguous.
struct Unpickled {
  std::deque<PickleValue> values;
  TensorCopies copies;
  const PickleValue* root = nullptr;
};

/// Strings are views into `pickle`. `max_copied`: bytes of tensor copies in all.
Unpickled unpickle(std::span<const std::byte> pickle, const FindStorage& find_storage,
                   std::uint64_t max_copied, const std::string& where);

/// The torch storage class of a dtype: "FloatStorage"; empty where torch has none.
std::string_view torch_storage_of(DType dtype);

}  // namespace safesail
