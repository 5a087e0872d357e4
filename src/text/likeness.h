// Near-duplicates without a memory: a key that like documents are likely to share, for splits in
// which an edited copy must not stand on the other side. A pure function of the text.
#pragma once

#include <cstdint>
#include <string_view>

namespace safesail {

/// The smallest hash over the text's shingles, runs of 32 letters and digits with ASCII case,
/// blanks and punctuation set aside. Two texts have the same key with a probability equal to the
/// share of their shingles that they have in common (Broder, "On the resemblance and containment of
/// documents", 1997), and surely when they differ in case, blanks and punctuation alone. A shorter
/// text is one shingle. Bytes that are no UTF-8 are taken as they are.
std::uint64_t likeness_key(std::string_view text);

/// Uniform in [0, 1) over keys, and for each purpose by itself: what splits like texts by a share.
double likeness_draw(std::uint64_t key, std::string_view purpose);

}  // namespace safesail
