// The records of a zip archive (APPNOTE.TXT 6.3.10), by offset; used by the reader and the writer.
#pragma once

#include <cstddef>
#include <cstdint>

namespace safesail::zip_layout {

inline constexpr std::uint32_t kLocalMagic = 0x04034b50, kCentralMagic = 0x02014b50,
                               kEndMagic = 0x06054b50, kEnd64Magic = 0x06064b50,
                               kLocatorMagic = 0x07064b50;
/// Lengths without names, extra fields and comments.
inline constexpr std::size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56,
                             kLocatorBytes = 20;
inline constexpr std::uint16_t kStored = 0, kDeflated = 8, kEncryptedFlag = 1;
inline constexpr std::uint16_t kZip64Field = 1;
/// In a 32-bit size or offset: the number stands in the zip64 field.
inline constexpr std::uint32_t kInZip64Field = 0xffffffff;

}  // namespace safesail::zip_layout
