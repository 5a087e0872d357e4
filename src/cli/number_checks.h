// What a number on the command line must be. CLI11's own checks write out the largest double.
#pragma once

namespace CLI {
class Validator;
}

namespace safesail {

CLI::Validator above_zero();
CLI::Validator zero_or_more();

}  // namespace safesail
