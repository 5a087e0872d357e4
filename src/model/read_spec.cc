#include "model/read_spec.h"

#include "model/open_model.h"

namespace safesail {

ModelSpec read_spec(const fs::path& path) {
  return read_plan(path).spec;
}

}  // namespace safesail
