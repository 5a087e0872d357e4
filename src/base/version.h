// The version of the program, written into every artefact.
#pragma once

namespace safesail {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace safesail
