// A name for what is not finished yet.
#pragma once

#include <string>

namespace safesail {

/// 16 hexadecimal digits that no other process, thread or machine on the same disk comes up with.
std::string random_name();

}  // namespace safesail
