// SAFESAIL_UNROLL before a loop of at most 16 turns unrolls it whole, so that an array indexed by
// it can live in registers; compilers leave that undone at -O2.
#pragma once

#if defined(__clang__)
#define SAFESAIL_UNROLL _Pragma("unroll")
#else
#define SAFESAIL_UNROLL _Pragma("GCC unroll 16")
#endif
