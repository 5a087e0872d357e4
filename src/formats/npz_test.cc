#include "formats/npz.h"

#include <array>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/safetensors.h"
#include "formats/zip_testing.h"

namespace safesail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using namespace std::string_literals;

std::string npy(std::string_view header, std::string_view data, int version = 1) {
  std::string bytes = "\x93NUMPY"s + char(version) + '\0';
  bytes += version == 1 ? raw(std::uint16_t(header.size())) : raw(std::uint32_t(header.size()));
  return bytes.append(header).append(data);
}

std::string header(std::string_view descr, std::string_view shape,
                   std::string_view order = "False") {
  return fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}  \n", descr, order,
                     shape);
}

std::string error_of_npy(const std::string& array) {
  return error_of([&] {
    const std::string file = zip_of({stored_entry("a.npy", array)});
    NpzFile(bytes_of(file), "p.npz").at("a");
  });
}

TEST(Npz, ReadsEveryVersionOrderAndPacking) {
  const std::string row_major = header("<f4", "(2, 3)"),
                    column_major = header("<f4", "(2, 3)", "True");
  const std::string file = zip_of({stored_entry("v1.npy", npy(row_major, six_floats())),
                                   stored_entry("v2.npy", npy(row_major, six_floats(), 2)),
                                   stored_entry("v3.npy", npy(row_major, six_floats(), 3)),
                                   deflated_entry("packed.npy", npy(row_major, six_floats())),
                                   stored_entry("fortran.npy", npy(column_major, six_floats())),
                                   deflated_entry("both.npy", npy(column_major, six_floats()))});
  NpzFile npz(bytes_of(file), "p.npz");
  EXPECT_THAT(npz.names(), ElementsAre("both", "fortran", "packed", "v1", "v2", "v3"));
  for (const char* name : {"v1", "v2", "v3", "packed"}) {
    EXPECT_THAT(npz.at(name).shape, ElementsAre(2, 3)) << name;
    EXPECT_THAT(floats(npz.at(name)), ElementsAre(0, 1, 2, 3, 4, 5)) << name;
  }
  for (const char* name : {"fortran", "both"})
    EXPECT_THAT(floats(npz.at(name)), ElementsAre(0, 2, 4, 1, 3, 5)) << name;
  EXPECT_TRUE(npz.contains("v1"));
  EXPECT_FALSE(npz.contains("v4"));
  EXPECT_THAT(error_of([&] { npz.at("v4"); }), HasSubstr("nearest"));
}

TEST(Npz, ReadsEveryDtype) {
  for (const auto& [descr, dtype] : {std::pair{"<f8", DType::f64},
                                     {"<f4", DType::f32},
                                     {"<f2", DType::f16},
                                     {"<i8", DType::i64},
                                     {"<i4", DType::i32},
                                     {"|u1", DType::u8},
                                     {"|b1", DType::boolean}}) {
    const std::string array = npy(header(descr, "(1,)"), std::string(size_of(dtype), '\1'));
    const std::string file = zip_of({stored_entry("a.npy", array)});
    EXPECT_EQ(NpzFile(bytes_of(file), "p.npz").at("a").dtype, dtype) << descr;
  }
  const std::string scalar = zip_of({stored_entry("a.npy", npy(header("<f4", "()"), raw(2.0f)))});
  EXPECT_THAT(floats(NpzFile(bytes_of(scalar), "p.npz").at("a")), ElementsAre(2));
}

TEST(Npz, RefusesWhatIsNotNumbers) {
  EXPECT_THAT(error_of_npy(npy(header("|O", "(1,)"), "........")), HasSubstr("pickle"));
  EXPECT_THAT(error_of_npy(npy(header(">f4", "(1,)"), "....")), HasSubstr("little-endian"));
  EXPECT_THAT(error_of_npy(npy(header("<c8", "(1,)"), "........")), HasSubstr("\"<c8\""));
  EXPECT_THAT(error_of_npy(npy("{'descr': [('a', '<f4')], }", "....")), HasSubstr("records"));
}

TEST(Npz, RefusesHeadersThatAreNotWellFormed) {
  const std::string data = six_floats();
  EXPECT_THAT(error_of_npy("hello"), HasSubstr(".npy array"));
  EXPECT_THAT(error_of_npy(npy(header("<f4", "(2, 3)"), data, 4)), HasSubstr("got 4.0"));
  EXPECT_THAT(error_of_npy("\x93NUMPY\x01\x00\xff\xff{}"s), HasSubstr("whole header"));
  EXPECT_THAT(error_of_npy("\x93NUMPY\x02\x00\xff\xff\xff\xff{}"s), HasSubstr("whole header"));
  EXPECT_THAT(error_of_npy(npy("{}", data)), HasSubstr("descr, fortran_order and shape"));
  EXPECT_THAT(error_of_npy(npy("{'descr': '<f4', 'descr': '<f4'}", data)), HasSubstr("once"));
  EXPECT_THAT(error_of_npy(npy("{'evil': __import__('os')}", data)), HasSubstr("\"evil\""));
  EXPECT_THAT(error_of_npy(npy(header("<f4", "(2, -3)"), data)), HasSubstr("whole numbers"));
  EXPECT_THAT(error_of_npy(npy(header("<f4", "(2, 3"), data)), HasSubstr("expected"));
  EXPECT_THAT(error_of_npy(npy(header("<f4", "6"), data)), HasSubstr("'('"));
  EXPECT_THAT(error_of_npy(npy(header("<f4", "(6,)", "None"), data)), HasSubstr("True or False"));
  EXPECT_THAT(error_of_npy(npy("{'descr: 1", data)), HasSubstr("end of a string"));
}

TEST(Npz, RefusesShapesThatItsDataDoesNotHave) {
  const std::string data = six_floats();
  EXPECT_THAT(error_of_npy(npy(header("<f4", "(7,)"), data)), HasSubstr("got 24 bytes"));
  EXPECT_THAT(error_of_npy(npy(header("<f4", "(5,)"), data)), HasSubstr("got 24 bytes"));
  EXPECT_THAT(error_of_npy(npy(header("<f4", "(4294967296, 4294967296)"), data)),
              HasSubstr("expected data of shape"));
  EXPECT_THAT(error_of_npy(npy(header("<f4", "(99999999999999999999,)"), data)),
              HasSubstr("whole numbers"));
  // A deflated member that declares a gigabyte is refused by its header, before it is unpacked.
  TestEntry bomb = deflated_entry("a.npy", npy(header("<f4", "(6,)"), std::string(4 << 20, '\0')));
  EXPECT_THAT(error_of([&] {
                const std::string file = zip_of({bomb});
                NpzFile(bytes_of(file), "p.npz").at("a");
              }),
              HasSubstr("expected data of shape [6]"));
}

TEST(Npz, WhatIsWrittenIsReadAndACutAtEveryByteIsAnError) {
  const TempFolder folder;
  const std::array<float, 4> weights = {1, -2, 3.5f, 4};
  const std::array<std::uint8_t, 3> small = {7, 8, 9};
  write_npz(folder / "p.npz",
            std::vector<NamedTensor>{
                {"W_enc", {DType::f32, {2, 2}, std::as_bytes(std::span(weights))}},
                {"small", {DType::u8, {3}, std::as_bytes(std::span(small))}},
                {"scalar", {DType::f32, {}, std::as_bytes(std::span(weights)).first(4)}}});
  NpzFile npz(folder / "p.npz");
  EXPECT_THAT(floats(npz.at("W_enc")), ElementsAre(1, -2, 3.5f, 4));
  EXPECT_EQ(npz.at("W_enc").bytes.data(), npz.at("W_enc").bytes.data());
  EXPECT_THAT(npz.at("small").shape, ElementsAre(3));
  EXPECT_TRUE(npz.at("scalar").shape.empty());

  const std::string file = read_file(folder / "p.npz", 1 << 20);
  for (std::size_t n = 0; n < file.size(); ++n) {
    EXPECT_THAT(error_of([&] {
                  const std::string cut = file.substr(0, n);
                  NpzFile(bytes_of(cut), "p.npz").at("W_enc");
                }),
                HasSubstr("p.npz"))
        << n;
  }
}

}  // namespace
}  // namespace safesail
