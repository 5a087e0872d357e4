// The architectures that there are; one file each, listed in architecture.cc.
#pragma once

#include "sae/architecture.h"

namespace safesail {

const Architecture& topk_architecture();
const Architecture& batchtopk_architecture();
const Architecture& matryoshka_architecture();
const Architecture& jumprelu_architecture();
const Architecture& relu_architecture();
const Architecture& gated_architecture();

}  // namespace safesail
