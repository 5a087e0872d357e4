#include "formats/gguf.h"

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

using U32 = std::uint32_t;
using U64 = std::uint64_t;

// Ids of value types, as in the file.
constexpr U32 kU8 = 0, kI8 = 1, kU16 = 2, kI16 = 3, kU32 = 4, kI32 = 5, kF32 = 6, kBool = 7,
              kString = 8, kArray = 9, kU64 = 10, kI64 = 11, kF64 = 12;

std::string text(std::string_view value) {
  return raw<U64>(value.size()) + std::string(value);
}

/// A GGUF file, put together piece by piece; every piece can be made wrong.
struct Builder {
  std::string magic = "GGUF";
  U32 version = 3;
  U64 alignment = 32;
  std::string keys, infos, data;
  U64 n_keys = 0, n_tensors = 0;

  Builder& key(std::string_view name, U32 type, std::string_view value) {
    keys += text(name) + raw(type) + std::string(value);
    ++n_keys;
    return *this;
  }
  Builder& tensor(std::string_view name, const std::vector<U64>& dims, U32 type, U64 offset) {
    infos += text(name) + raw<U32>(static_cast<U32>(dims.size()));
    for (const U64 dim : dims) infos += raw(dim);
    infos += raw(type) + raw(offset);
    ++n_tensors;
    return *this;
  }
  Builder& bytes(std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) data += static_cast<char>(data.size());
    return *this;
  }
  std::string file() const {
    std::string file = magic + raw(version) + raw(n_tensors) + raw(n_keys) + keys + infos;
    if (!data.empty()) file.append((alignment - file.size() % alignment) % alignment, '\0');
    return file + data;
  }
};

/// An array value: item type, count, items.
std::string array(U32 type, U64 n, std::string_view items) {
  return raw(type) + raw(n) + std::string(items);
}

GgufContents parse(const std::string& file) {
  return parse_gguf(bytes_of(file), "model.gguf");
}

std::string error_of_file(const std::string& file) {
  const std::string error = error_of([&] { parse(file); });
  EXPECT_THAT(error, HasSubstr("model.gguf"));
  return error;
}

std::string error_of_file(const Builder& builder) {
  return error_of_file(builder.file());
}

/// Every value type, and tensors of two types.
Builder valid() {
  Builder b;
  b.key("general.architecture", kString, text("llama"))
      .key("i8", kI8, raw<std::int8_t>(-3))
      .key("u16", kU16, raw<std::uint16_t>(65535))
      .key("f32", kF32, raw(0.5f))
      .key("bool", kBool, "\1")
      .key("tokens", kArray, array(kString, 2, text("a") + text("bc")))
      .key("scores", kArray, array(kF32, 2, raw(0.25f) + raw(-1.0f)))
      .key("types", kArray, array(kI32, 3, raw<U32>(1) + raw<U32>(2) + raw<U32>(~0u)));
  b.tensor("norm", {3}, 0, 0).tensor("proj", {32, 2}, 8, 32);
  return b.bytes(32 + 2 * 34);
}

template <class T>
T value_of(const GgufContents& contents, std::string_view key) {
  return std::get<T>(contents.metadata.find(key)->second);
}

TEST(Gguf, ReadsAValidFile) {
  const std::string file = valid().file();
  const GgufContents contents = parse(file);
  EXPECT_EQ(value_of<std::string>(contents, "general.architecture"), "llama");
  EXPECT_EQ(value_of<std::int64_t>(contents, "i8"), -3);
  EXPECT_EQ(value_of<std::int64_t>(contents, "u16"), 65535);
  EXPECT_EQ(value_of<double>(contents, "f32"), 0.5);
  EXPECT_EQ(value_of<bool>(contents, "bool"), true);
  EXPECT_THAT(value_of<std::vector<std::string>>(contents, "tokens"), ElementsAre("a", "bc"));
  EXPECT_THAT(value_of<std::vector<double>>(contents, "scores"), ElementsAre(0.25, -1.0));
  EXPECT_THAT(value_of<std::vector<std::int64_t>>(contents, "types"), ElementsAre(1, 2, -1));

  ASSERT_EQ(contents.tensors.size(), 2u);
  const GgufTensor& norm = contents.tensors.find("norm")->second;
  EXPECT_THAT(norm.shape, ElementsAre(3));
  EXPECT_EQ(norm.bytes.size(), 12u);
  EXPECT_EQ(norm.bytes[0], std::byte{0});
  const GgufTensor& proj = contents.tensors.find("proj")->second;
  EXPECT_EQ(proj.type, GgmlType::q8_0);
  EXPECT_THAT(proj.shape, ElementsAre(2, 32)) << "the file has the innermost dimension first";
  EXPECT_EQ(proj.n_elements(), 64);
  EXPECT_EQ(proj.bytes.size(), 68u);
  EXPECT_EQ(proj.bytes[0], std::byte{32});
}

TEST(Gguf, ReadsVersionTwoAndFilesWithoutTensors) {
  Builder b;
  b.version = 2;
  EXPECT_TRUE(parse(b.key("a", kU32, raw<U32>(1)).file()).tensors.empty());
}

TEST(Gguf, ReadsAnotherAlignment) {
  Builder b;
  b.alignment = 128;
  b.key("general.alignment", kU32, raw<U32>(128)).tensor("a", {4}, 0, 0).tensor("b", {4}, 0, 128);
  const std::string file = b.bytes(144).file();
  EXPECT_EQ(parse(file).tensors.find("b")->second.bytes[0], std::byte{128});
}

TEST(Gguf, EveryWidthOfInteger) {
  Builder b;
  b.key("u8", kU8, raw<std::uint8_t>(200))
      .key("i16", kI16, raw<std::int16_t>(-300))
      .key("i32", kI32, raw<std::int32_t>(-70000))
      .key("i64", kI64, raw<std::int64_t>(std::numeric_limits<std::int64_t>::min()))
      .key("u64", kU64, raw<U64>(std::numeric_limits<std::int64_t>::max()))
      .key("f64", kF64, raw(1e-300))
      .key("bools", kArray, array(kBool, 2, std::string_view("\1\0", 2)));
  const GgufContents contents = parse(b.file());
  EXPECT_EQ(value_of<std::int64_t>(contents, "u8"), 200);
  EXPECT_EQ(value_of<std::int64_t>(contents, "i16"), -300);
  EXPECT_EQ(value_of<std::int64_t>(contents, "i32"), -70000);
  EXPECT_EQ(value_of<std::int64_t>(contents, "i64"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(value_of<std::int64_t>(contents, "u64"), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(value_of<double>(contents, "f64"), 1e-300);
  EXPECT_THAT(value_of<std::vector<std::int64_t>>(contents, "bools"), ElementsAre(1, 0));

  EXPECT_THAT(error_of_file(Builder().key("x", kU64, raw<U64>(U64{1} << 63))), HasSubstr("2^63"));
  EXPECT_THAT(error_of_file(Builder().key("x", kBool, "\2")), HasSubstr("0 or 1"));
}

TEST(Gguf, ACutAtEveryByteIsAnError) {
  const std::string file = valid().file();
  for (std::size_t n = 0; n < file.size(); ++n) error_of_file(file.substr(0, n));
}

TEST(Gguf, AnyDamagedByteIsAnErrorOrAReadableFile) {
  const std::string file = valid().file();
  for (std::size_t i = 0; i < file.size(); ++i) {
    for (const int flip : {0x01, 0x04, 0x80, 0xff}) {
      std::string damaged = file;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      try {
        const GgufContents contents = parse(damaged);
        for (const auto& [name, tensor] : contents.tensors) {
          std::vector<float> values(tensor.n_elements());
          dequantize(tensor, 0, values);
        }
      } catch (const Error&) {
      }
    }
  }
}

TEST(Gguf, RefusesOtherFilesAndVersions) {
  Builder b;
  b.magic = "GGML";
  EXPECT_THAT(error_of_file(b), HasSubstr("\"GGML\""));
  b = {};
  b.version = 1;
  EXPECT_THAT(error_of_file(b), AllOf(HasSubstr("version 2 or 3, got 1"), HasSubstr("convert")));
  b.version = 4;
  EXPECT_THAT(error_of_file(b), HasSubstr("got 4"));
  b.version = 0x03000000;
  EXPECT_THAT(error_of_file(b), HasSubstr("big-endian"));
}

TEST(Gguf, RefusesCountsThatDoNotFit) {
  for (const U64 n : {U64{1}, U64{1000}, U64{1} << 40, ~U64{0}}) {
    Builder b;
    b.n_keys = n;
    EXPECT_THAT(error_of_file(b), HasSubstr("number of keys")) << n;
    b = {};
    b.n_tensors = n;
    EXPECT_THAT(error_of_file(b), HasSubstr("number of tensors")) << n;
  }
}

TEST(Gguf, RefusesStringsAndArraysThatDoNotFit) {
  const std::string huge = raw<U64>(~U64{0}), beyond = raw<U64>(100);
  for (const std::string& length : {huge, beyond}) {
    EXPECT_THAT(error_of_file(Builder().key("k", kString, length + "abc")), HasSubstr("key \"k\""));
    EXPECT_THAT(error_of_file(Builder().key("k", kArray, raw(kU8) + length + "abc")),
                HasSubstr("key \"k\""));
    EXPECT_THAT(error_of_file(Builder().key("k", kArray, raw(kString) + length + "abc")),
                HasSubstr("key \"k\""));
  }
  Builder b;
  b.keys = raw<U64>(70000) + std::string(80000, 'k');
  b.n_keys = 1;
  EXPECT_THAT(error_of_file(b), HasSubstr("at most 65535"));
}

TEST(Gguf, RefusesArraysThatAreFarTooLong) {
  const U64 n = (U64{1} << 24) + 1;
  EXPECT_THAT(error_of_file(Builder().key("k", kArray, array(kU8, n, std::string(n, 'x')))),
              HasSubstr("at most 16777216 items"));
}

TEST(Gguf, RefusesNestedArraysAndUnknownValueTypes) {
  EXPECT_THAT(error_of_file(Builder().key("k", kArray, array(kArray, 1, array(kU8, 1, "x")))),
              HasSubstr("nested"));
  EXPECT_THAT(error_of_file(Builder().key("k", 13, "12345678")), HasSubstr("id 13"));
  EXPECT_THAT(error_of_file(Builder().key("k", kArray, array(99, 1, "12345678"))),
              HasSubstr("id 99"));
}

TEST(Gguf, RefusesDuplicates) {
  EXPECT_THAT(error_of_file(Builder().key("k", kU8, "a").key("k", kU8, "b")),
              HasSubstr("\"k\" once"));
  EXPECT_THAT(error_of_file(Builder().tensor("t", {4}, 0, 0).tensor("t", {4}, 0, 32).bytes(48)),
              HasSubstr("\"t\" once"));
}

TEST(Gguf, RefusesBadAlignments) {
  for (const U32 alignment : {0u, 3u, 48u, 1u << 25, ~0u})
    EXPECT_THAT(error_of_file(Builder().key("general.alignment", kU32, raw(alignment))),
                HasSubstr("power of two"))
        << alignment;
  EXPECT_THAT(error_of_file(Builder().key("general.alignment", kString, text("32"))),
              HasSubstr("power of two"));
}

TEST(Gguf, RefusesBadShapes) {
  const auto error = [](const std::vector<U64>& dims, U32 type = 0) {
    return error_of_file(Builder().tensor("t", dims, type, 0).bytes(64));
  };
  EXPECT_THAT(error({}), HasSubstr("1 to 4 dimensions, got 0"));
  EXPECT_THAT(error({1, 1, 1, 1, 1}), HasSubstr("1 to 4 dimensions, got 5"));
  EXPECT_THAT(error({4, 0}), HasSubstr("got 0"));
  EXPECT_THAT(error({~U64{0}}), HasSubstr("can be counted"));
  EXPECT_THAT(error({U64{1} << 32, U64{1} << 32}), HasSubstr("can be counted"));
  EXPECT_THAT(error({U64{1} << 62}), HasSubstr("overflow"));
  EXPECT_THAT(error({33}, 8), HasSubstr("whole Q8_0 blocks of 32, got 33"));
  EXPECT_THAT(error({128}, 12), HasSubstr("whole Q4_K blocks of 256"));
  // The rows count, not the whole: 2 x 16 elements are no Q8_0 block.
  EXPECT_THAT(error({16, 2}, 8), HasSubstr("got 16 columns"));
}

TEST(Gguf, RefusesTypesItCannotDequantise) {
  EXPECT_THAT(error_of_file(Builder().tensor("t", {256}, 23, 0).bytes(256)),
              AllOf(HasSubstr("tensor \"t\""), HasSubstr("IQ4_XS"), HasSubstr("llama-quantize")));
  EXPECT_THAT(error_of_file(Builder().tensor("t", {256}, 4, 0).bytes(256)), HasSubstr("type 4"));
  EXPECT_THAT(error_of_file(Builder().tensor("t", {256}, ~0u, 0).bytes(256)),
              HasSubstr("type 4294967295"));
}

TEST(Gguf, RefusesBadOffsets) {
  const auto error = [](U64 offset) {
    return error_of_file(Builder().tensor("t", {4}, 0, offset).bytes(64));
  };
  EXPECT_THAT(error(16), HasSubstr("aligned to 32, got 16"));
  EXPECT_THAT(error(64), HasSubstr("end of the file"));
  EXPECT_THAT(error(~U64{31}), HasSubstr("end of the file"));
  EXPECT_THAT(error_of_file(Builder().tensor("t", {17}, 0, 0).bytes(64)), HasSubstr("68 bytes"));
  EXPECT_THAT(error_of_file(Builder().tensor("a", {16}, 0, 0).tensor("b", {4}, 0, 32).bytes(64)),
              AllOf(HasSubstr("\"b\""), HasSubstr("overlap")));
  EXPECT_THAT(error_of_file(Builder().tensor("t", {4}, 0, 0)), HasSubstr("end of the file"));
}

TEST(Gguf, RefusesOnePartOfASplitModel) {
  EXPECT_THAT(error_of_file(Builder().key("split.count", kU16, raw<std::uint16_t>(3))),
              AllOf(HasSubstr("one of 3 parts"), HasSubstr("--merge")));
  EXPECT_NO_THROW(parse(Builder().key("split.count", kU16, raw<std::uint16_t>(1)).file()));
}

TEST(Gguf, HostileNamesArePrintedHarmlessly) {
  const std::string error = error_of_file(Builder().tensor("\x1b[2J\xff", {0}, 0, 0));
  EXPECT_EQ(error.find('\x1b'), std::string::npos);
}

/// The fuzzers' seeds come from the `gguf` package (fuzz/make_seeds.py): one tensor of every type.
TEST(Gguf, ReadsFilesOfTheReferenceWriter) {
  std::size_t n_files = 0;
  for (const auto& entry : fs::directory_iterator(SAFESAIL_SOURCE_DIR "/fuzz/corpus/fuzz_gguf")) {
    const GgufFile file(entry.path());
    EXPECT_EQ(file.get<std::string>("general.architecture"), "llama");
    EXPECT_EQ(file.get<std::int64_t>("llama.block_count"), 2);
    EXPECT_EQ(file.get<bool>("a.bool"), true);
    EXPECT_THAT(file.get<std::vector<std::string>>("a.tokens"), ElementsAre("<s>", "a", "अ"));
    ASSERT_EQ(file.tensors().size(), 1u);
    const auto& [name, tensor] = *file.tensors().begin();
    const GgmlBlock block = block_of(tensor.type);
    EXPECT_EQ(name, fmt::format("t.{}", name_of(tensor.type)));
    EXPECT_THAT(tensor.shape, ElementsAre(2, block.elements)) << name;
    ASSERT_EQ(static_cast<std::int64_t>(tensor.bytes.size()), 2 * block.bytes) << name;
    for (std::size_t i = 0; i < tensor.bytes.size(); ++i)
      ASSERT_EQ(tensor.bytes[i], static_cast<std::byte>(i)) << name;
    ++n_files;
  }
  EXPECT_EQ(n_files, 11u);
}

class GgufOnDisk : public testing::Test {
 protected:
  GgufOnDisk() { write_file(folder_ / "model.gguf", valid().file()); }
  const TempFolder folder_;
};

TEST_F(GgufOnDisk, GivesTypedMetadata) {
  const GgufFile file(folder_ / "model.gguf");
  EXPECT_EQ(file.get<std::string>("general.architecture"), "llama");
  EXPECT_EQ(*file.find<std::int64_t>("i8"), -3);
  EXPECT_EQ(file.find<std::int64_t>("absent"), nullptr);
  EXPECT_THAT(error_of([&] { file.get<std::string>("general.architectur"); }),
              AllOf(HasSubstr("model.gguf"), HasSubstr("\"general.architecture\"")));
  EXPECT_THAT(error_of([&] { file.find<std::string>("i8"); }),
              AllOf(HasSubstr("\"i8\""), HasSubstr("a string"), HasSubstr("an integer")));
}

TEST_F(GgufOnDisk, GivesTensorsAndNamesTheNearest) {
  const GgufFile file(folder_ / "model.gguf");
  EXPECT_EQ(file.tensor("norm").bytes.size(), 12u);
  EXPECT_THAT(error_of([&] { file.tensor("nrom"); }), HasSubstr("are \"norm\""));
  EXPECT_THROW(GgufFile(folder_ / "none.gguf"), Error);
}

}  // namespace
}  // namespace safesail
