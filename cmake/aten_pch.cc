// Exists so that the ATen precompiled header has a target to be built by; see torch.cmake.
