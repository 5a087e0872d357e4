#include "formats/safetensors.h"

#include <array>
#include <cstring>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <vector>

#include "base/error.h"
#include "formats/test_files.h"

namespace safesail {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// A file with this header and `n_data` bytes of data, counting up.
std::string file_with(std::string_view header, std::size_t n_data) {
  std::string file = raw<std::uint64_t>(header.size());
  file += header;
  for (std::size_t i = 0; i < n_data; ++i) file += static_cast<char>(i);
  return file;
}

/// The header's entry of one tensor.
std::string entry(std::string_view name, std::string_view dtype, std::string_view shape,
                  std::int64_t begin, std::int64_t end) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", name, dtype,
                     shape, begin, end);
}

std::string error_of_file(std::string_view file) {
  return error_of([&] { parse_safetensors(bytes_of(file), "model.safetensors"); });
}

std::string error_of_header(std::string_view header, std::size_t n_data) {
  return error_of_file(file_with(header, n_data));
}

const std::string kValid = file_with(
    "{\"__metadata__\":{\"format\":\"pt\"}," + entry("a", "F32", "[2,2]", 0, 16) + "," +
        entry("b", "U8", "[3]", 16, 19) + "," + entry("empty", "F16", "[0,4]", 19, 19) + "}  ",
    19);

TEST(Safetensors, ReadsAValidFile) {
  const SafetensorsContents contents = parse_safetensors(bytes_of(kValid), "f");
  EXPECT_THAT(contents.metadata, ElementsAre(std::pair("format", "pt")));
  ASSERT_EQ(contents.tensors.size(), 3u);
  const TensorView& a = contents.tensors.find("a")->second;
  EXPECT_EQ(a.dtype, DType::f32);
  EXPECT_THAT(a.shape, ElementsAre(2, 2));
  ASSERT_EQ(a.bytes.size(), 16u);
  EXPECT_EQ(a.bytes[15], std::byte{15});
  EXPECT_EQ(contents.tensors.find("b")->second.bytes[0], std::byte{16});
  EXPECT_TRUE(contents.tensors.find("empty")->second.bytes.empty());
}

TEST(Safetensors, ReadsAFileWithoutTensors) {
  EXPECT_TRUE(parse_safetensors(bytes_of(file_with("{}", 0)), "f").tensors.empty());
}

TEST(Safetensors, ACutAtEveryByteIsAnError) {
  for (std::size_t n = 0; n < kValid.size(); ++n)
    EXPECT_THAT(error_of_file(kValid.substr(0, n)), HasSubstr("model.safetensors")) << n;
  EXPECT_THAT(error_of_file(kValid + "x"), HasSubstr("bytes of data"));
}

TEST(Safetensors, AnyDamagedByteIsAnErrorOrAValidFile) {
  for (std::size_t i = 0; i < kValid.size(); ++i) {
    for (const int flip : {0x01, 0x20, 0x80, 0xff}) {
      std::string damaged = kValid;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      try {
        for (const auto& [name, tensor] : parse_safetensors(bytes_of(damaged), "f").tensors)
          EXPECT_EQ(checked_byte_size(tensor.dtype, tensor.shape), tensor.bytes.size());
      } catch (const Error&) {
      }
    }
  }
}

TEST(Safetensors, RefusesWrongHeaderLengths) {
  const std::string json = "{" + entry("a", "U8", "[1]", 0, 1) + "}";
  const auto with_length = [&](std::uint64_t length) { return raw(length) + json + "x"; };
  EXPECT_THAT(error_of_file(with_length(json.size() + 2)), HasSubstr("cut short"));
  EXPECT_THAT(error_of_file(with_length(~std::uint64_t{0})), HasSubstr("at most 100000000"));
  EXPECT_THAT(error_of_file(with_length(100'000'001)), HasSubstr("at most 100000000"));
  EXPECT_THAT(error_of_file(with_length(json.size() - 1)), HasSubstr("expected JSON"));
  EXPECT_THAT(error_of_file(with_length(0)), HasSubstr("starts with '{'"));
}

TEST(Safetensors, RefusesHeadersThatAreNotATensorList) {
  EXPECT_THAT(error_of_header("[]", 0), HasSubstr("starts with '{'"));
  EXPECT_THAT(error_of_header(" {}", 0), HasSubstr("starts with '{'"));
  EXPECT_THAT(error_of_header("{\"a\":1}", 0), HasSubstr("tensor \"a\""));
  EXPECT_THAT(error_of_header("{\"a\":{}}", 0), HasSubstr("'dtype'"));
  EXPECT_THAT(error_of_header("{\"\xff\":{}}", 0), HasSubstr("UTF-8"));
  EXPECT_THAT(error_of_header("{\"__metadata__\":{\"a\":1}}", 0), HasSubstr("'a' to be a string"));
  EXPECT_THAT(error_of_header("{\"__metadata__\":[]}", 0), HasSubstr("__metadata__"));
  EXPECT_THAT(error_of_header("{\"a\":{\"dtype\":[[[[[[1]]]]]]}}", 0), HasSubstr("nested"));
}

TEST(Safetensors, RefusesDuplicateNames) {
  const std::string a = entry("a", "U8", "[1]", 0, 1);
  EXPECT_THAT(error_of_header("{" + a + "," + entry("a", "U8", "[1]", 1, 2) + "}", 2),
              HasSubstr("\"a\" twice"));
  EXPECT_THAT(
      error_of_header(R"({"a":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}})", 1),
      HasSubstr("\"dtype\" twice"));
}

TEST(Safetensors, RefusesUnknownDtypes) {
  EXPECT_THAT(error_of_header("{" + entry("a", "F8_E4M3", "[1]", 0, 1) + "}", 1),
              AllOf(HasSubstr("F8_E4M3"), HasSubstr("tensor \"a\"")));
}

TEST(Safetensors, RefusesBadShapes) {
  const auto error = [](std::string_view dtype, std::string_view shape) {
    return error_of_header("{" + entry("a", dtype, shape, 0, 16) + "}", 16);
  };
  EXPECT_THAT(error("F32", "[5]"), HasSubstr("expected 20 bytes for F32 [5], got 16"));
  EXPECT_THAT(error("F64", "[4]"), HasSubstr("expected 32 bytes"));
  EXPECT_THAT(error("F32", "[-4]"), HasSubstr("shape that can be counted"));
  EXPECT_THAT(error("F32", "[4.0]"), HasSubstr("list of integers"));
  EXPECT_THAT(error("F32", "4"), HasSubstr("list of integers"));
  EXPECT_THAT(error("F32", "[18446744073709551615]"), HasSubstr("list of integers"));
  EXPECT_THAT(error("F32", "[4294967296,4294967296]"), HasSubstr("shape that can be counted"));
  EXPECT_THAT(error("F32", "[4611686018427387905]"), HasSubstr("shape that can be counted"));
  EXPECT_THAT(error("F32", "[4294967296,4294967296,0]"), HasSubstr("shape that can be counted"));
}

TEST(Safetensors, RefusesBadOffsets) {
  const auto error = [](std::int64_t begin, std::int64_t end) {
    return error_of_header("{" + entry("a", "U8", "[4]", begin, end) + "}", 8);
  };
  EXPECT_THAT(error(4, 0), HasSubstr("begin <= end"));
  EXPECT_THAT(error(-4, 0), HasSubstr("begin <= end"));
  EXPECT_THAT(error(8, 12), HasSubstr("within 8 bytes"));
  EXPECT_THAT(error(0, std::numeric_limits<std::int64_t>::max()), HasSubstr("within 8 bytes"));
  EXPECT_THAT(error_of_header(R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1,2]}})", 2),
              HasSubstr("[begin, end]"));
}

TEST(Safetensors, RefusesOverlapsAndHoles) {
  const auto error = [](std::int64_t begin_b, std::size_t n_data) {
    return error_of_header("{" + entry("a", "U8", "[4]", 0, 4) + "," +
                               entry("b", "U8", "[4]", begin_b, begin_b + 4) + "}",
                           n_data);
  };
  EXPECT_THAT(error(3, 7), AllOf(HasSubstr("\"b\""), HasSubstr("overlap")));
  EXPECT_THAT(error(0, 4), HasSubstr("overlap"));
  EXPECT_THAT(error(5, 9), HasSubstr("hole"));
  EXPECT_THAT(error(4, 9), HasSubstr("expected 8 bytes of data, got 9"));
  EXPECT_THAT(error_of_header("{" + entry("a", "U8", "[4]", 1, 5) + "}", 5), HasSubstr("hole"));
}

class SafetensorsFiles : public testing::Test {
 protected:
  const TempFolder folder_;
  const std::array<float, 3> floats_ = {1.5f, -2.0f, 3.25f};
  const std::array<std::int64_t, 2> ints_ = {7, -8};
  const std::array<std::uint8_t, 3> bytes_ = {1, 2, 3};

  NamedTensor floats(std::string name) const {
    return {std::move(name), {DType::f32, {3}, std::as_bytes(std::span(floats_))}};
  }
  NamedTensor ints(std::string name) const {
    return {std::move(name), {DType::i64, {2, 1}, std::as_bytes(std::span(ints_))}};
  }
  NamedTensor bytes(std::string name) const {
    return {std::move(name), {DType::u8, {3}, std::as_bytes(std::span(bytes_))}};
  }
};

TEST_F(SafetensorsFiles, WhatIsWrittenIsRead) {
  const fs::path path = folder_ / "a.safetensors";
  const std::map<std::string, std::string> metadata = {{"k", "\"v\" \n é"}, {"", ""}};
  const std::vector<NamedTensor> tensors = {
      bytes("bytes"),
      floats("weird \"name\" é"),
      ints("ints"),
      {"scalar", {DType::f32, {}, std::as_bytes(std::span(floats_)).first(4)}},
      {"empty", {DType::f32, {0, 9}, {}}}};
  write_safetensors(path, tensors, metadata);

  const SafetensorsFile file(path);
  EXPECT_EQ(file.metadata(), metadata);
  EXPECT_EQ(file.tensors().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const TensorView& view = file.at(name);
    EXPECT_EQ(view.dtype, tensor.dtype) << name;
    EXPECT_EQ(view.shape, tensor.shape) << name;
    EXPECT_TRUE(
        std::equal(view.bytes.begin(), view.bytes.end(), tensor.bytes.begin(), tensor.bytes.end()))
        << name;
    const auto address = reinterpret_cast<std::uintptr_t>(view.bytes.data());
    EXPECT_TRUE(view.bytes.empty() || address % size_of(view.dtype) == 0)
        << name << " is unaligned";
  }
}

TEST_F(SafetensorsFiles, TheBytesAreThoseOfTheFormat) {
  const fs::path path = folder_ / "a.safetensors";
  write_safetensors(path, std::vector{bytes("b")}, {{"k", "v"}});
  const std::string header =
      "{\"__metadata__\":{\"k\":\"v\"},\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]"
      "}}";
  const std::string padding((8 - header.size() % 8) % 8, ' ');
  EXPECT_EQ(read_file(path, 1000),
            raw<std::uint64_t>(header.size() + padding.size()) + header + padding + "\1\2\3");
}

TEST_F(SafetensorsFiles, TheWriterRefusesItsCallersMistakes) {
  const fs::path path = folder_ / "a.safetensors";
  EXPECT_THROW(write_safetensors(path, std::vector{bytes("a"), ints("a")}), std::logic_error);
  EXPECT_THROW(write_safetensors(path, std::vector{bytes("__metadata__")}), std::logic_error);
  NamedTensor wrong = bytes("a");
  wrong.tensor.shape = {4};
  EXPECT_THROW(write_safetensors(path, std::vector{wrong}), std::logic_error);
  EXPECT_THAT(error_of([&] { write_safetensors(path, std::vector{bytes("\xff")}); }),
              HasSubstr("UTF-8"));
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(SafetensorsFiles, AMissingTensorNamesItsNearest) {
  const fs::path path = folder_ / "a.safetensors";
  write_safetensors(path, std::vector{bytes("model.norm.weight"), ints("lm_head.weight")});
  const SafetensorsFile file(path);
  EXPECT_TRUE(file.contains("lm_head.weight"));
  EXPECT_FALSE(file.contains("lm_head"));
  EXPECT_THAT(error_of([&] { file.at("model.norm.weigth"); }),
              AllOf(HasSubstr("a.safetensors"), HasSubstr("are \"model.norm.weight\"")));
}

TEST_F(SafetensorsFiles, AMovedFileKeepsItsViews) {
  const fs::path path = folder_ / "a.safetensors";
  write_safetensors(path, std::vector{bytes("a")});
  SafetensorsFile file(path);
  const SafetensorsFile moved(std::move(file));
  EXPECT_EQ(moved.at("a").bytes[2], std::byte{3});
}

TEST_F(SafetensorsFiles, AFolderWithOneFile) {
  write_safetensors(folder_ / "model.safetensors", std::vector{bytes("b"), ints("a")});
  const SafetensorsFolder weights(folder_.path());
  EXPECT_THAT(weights.names(), ElementsAre("a", "b"));
  EXPECT_EQ(weights.total_bytes(), 19u);
  EXPECT_EQ(weights.at("b").bytes[0], std::byte{1});
  EXPECT_THAT(error_of([&] { weights.at("c"); }), HasSubstr("nearest"));
}

class ShardedFolder : public SafetensorsFiles {
 protected:
  void SetUp() override {
    write_safetensors(folder_ / "model-00001-of-00002.safetensors", std::vector{bytes("a")});
    write_safetensors(folder_ / "model-00002-of-00002.safetensors",
                      std::vector{ints("b"), floats("c")});
    index(R"({"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors",
              "c": "model-00002-of-00002.safetensors"})");
  }
  void index(std::string_view weight_map) const {
    write_file(
        folder_ / "model.safetensors.index.json",
        fmt::format(R"({{"metadata": {{"total_size": 31}}, "weight_map": {}}})", weight_map));
  }
  std::string error() const {
    return error_of([&] { SafetensorsFolder(folder_.path()); });
  }
};

TEST_F(ShardedFolder, JoinsTheShards) {
  const SafetensorsFolder weights(folder_.path());
  EXPECT_THAT(weights.names(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(weights.total_bytes(), 31u);
  EXPECT_THAT(weights.at("b").shape, ElementsAre(2, 1));
  weights.drop_pages();
  EXPECT_EQ(weights.at("a").bytes[0], std::byte{1});
}

TEST_F(ShardedFolder, AMissingShardIsAnError) {
  fs::remove(folder_ / "model-00002-of-00002.safetensors");
  EXPECT_THAT(error(), HasSubstr("model-00002-of-00002.safetensors"));
}

TEST_F(ShardedFolder, AnExtraShardIsAnErrorOtherFilesAreNot) {
  write_safetensors(folder_ / "consolidated.safetensors", std::vector{bytes("a")});
  EXPECT_NO_THROW(SafetensorsFolder(folder_.path()));
  write_safetensors(folder_ / "model-00003-of-00003.safetensors", std::vector{bytes("z")});
  EXPECT_THAT(error(), HasSubstr("model-00003-of-00003.safetensors"));
}

TEST_F(ShardedFolder, ATensorMissingFromItsShardIsAnError) {
  index(R"({"a": "model-00001-of-00002.safetensors", "b": "model-00001-of-00002.safetensors",
            "c": "model-00002-of-00002.safetensors"})");
  EXPECT_THAT(error(), AllOf(HasSubstr("\"b\""), HasSubstr("model-00001-of-00002.safetensors")));
}

TEST_F(ShardedFolder, ShardsOutsideTheFolderAreRefused) {
  for (const char* name : {"../x.safetensors", "/etc/x.safetensors", "sub/x.safetensors", "..", "",
                           "model.bin", "a\\\\x.safetensors", "x\\u0000.safetensors"}) {
    index(fmt::format(R"({{"a": "{}"}})", name));
    EXPECT_THAT(error(), HasSubstr("in the same folder")) << name;
  }
}

TEST_F(ShardedFolder, AnIndexOfTheWrongFormIsAnError) {
  index("{}");
  EXPECT_THAT(error(), HasSubstr("got none"));
  index("[]");
  EXPECT_THAT(error(), HasSubstr("weight_map: expected a JSON object"));
  index(R"({"a": 1})");
  EXPECT_THAT(error(), HasSubstr("'a' to be a string"));
  index(R"({"a": "model-00001-of-00002.safetensors", "a": "model-00002-of-00002.safetensors"})");
  EXPECT_THAT(error(), HasSubstr("twice"));
  write_file(folder_ / "model.safetensors.index.json", "{}");
  EXPECT_THAT(error(), HasSubstr("weight_map"));
}

TEST_F(SafetensorsFiles, AFolderWithoutWeightsSaysWhatItWants) {
  EXPECT_THAT(error_of([&] { SafetensorsFolder(folder_.path()); }),
              HasSubstr("model.safetensors.index.json"));
  EXPECT_THAT(error_of([&] { SafetensorsFolder(folder_ / "none"); }), HasSubstr("model folder"));
}

}  // namespace
}  // namespace safesail
