#include "formats/torch_pickle.h"

#include <array>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/zip_testing.h"

namespace safesail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using namespace std::string_literals;

std::string text(std::string_view value) {
  return "X" + raw(std::uint32_t(value.size())) + std::string(value);
}

std::string integer(std::int64_t value) {
  return "\x8a\x08"s + raw(value);
}

/// A tensor over the storage "0" of `n` floats.
std::string tensor(std::string_view shape, std::string_view strides, std::int64_t offset,
                   std::int64_t n, std::string_view storage = "FloatStorage") {
  return fmt::format("ctorch._utils\n_rebuild_tensor_v2\n(({}ctorch\n{}\n{}{}{}tQ{}({}t({}t\x89",
                     text("storage"), storage, text("0"), text("cpu"), integer(n), integer(offset),
                     shape, strides) +
         "ccollections\nOrderedDict\n)RtR";
}

/// The smallest archive around a pickle.
std::string archive(const std::string& pickle, std::string_view storage = "") {
  return zip_of({stored_entry("a/data.pkl", "\x80\x02" + pickle),
                 stored_entry("a/data/0", std::string(storage))});
}

std::string error_of_pickle(const std::string& pickle, std::string_view storage = "") {
  return error_of([&] { TorchFile(bytes_of(archive(pickle, storage)), "a.pt"); });
}

TEST(TorchPickle, ReadsPlainValues) {
  const std::string pickle = "}(" + text("i") + "K\x05" + text("n") + "N" + text("t") + "\x88" +
                             text("f") + "G\x3f\xf8" + std::string(6, '\0') + text("s") +
                             text("text") + text("l") + "](K\x01J\xff\xff\xff\xff" +
                             "\x8a\x02\x00\xff"s + "e" + text("b") + "C\x02xy" + text("o") +
                             "\x4b\x02\x85" + "J\x07\x00\x00\x00N"s + "u.";
  const std::string file = archive(pickle);
  const TorchFile torch(bytes_of(file), "a.pt");
  const PickleDict* dict = torch.root().dict();
  ASSERT_NE(dict, nullptr);
  EXPECT_EQ(*dict->find("i")->as<std::int64_t>(), 5);
  EXPECT_NE(dict->find("n")->as<std::monostate>(), nullptr);
  EXPECT_TRUE(*dict->find("t")->as<bool>());
  EXPECT_EQ(*dict->find("f")->as<double>(), 1.5);
  EXPECT_EQ(*dict->find("s")->as<std::string_view>(), "text");
  const PickleList& list = *dict->find("l")->as<PickleList>();
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(*list[1]->as<std::int64_t>(), -1);
  EXPECT_EQ(*list[2]->as<std::int64_t>(), -256);
  EXPECT_EQ(dict->find("b")->as<PickleBytes>()->bytes, "xy");
  EXPECT_EQ(dict->find("o")->kind(), "list");
  EXPECT_EQ(dict->items.size(), 9u);
  EXPECT_EQ(dict->find("x"), nullptr);
}

TEST(TorchPickle, OfAKeyWrittenTwiceTheLastOneCounts) {
  const std::string file = archive("}(" + text("a") + "K\x01" + text("a") + "K\x02u.");
  EXPECT_EQ(*TorchFile(bytes_of(file), "a.pt").root().dict()->find("a")->as<std::int64_t>(), 2);
}

TEST(TorchPickle, ReadsTensorsOfEveryLayout) {
  const std::string storage = six_floats();
  const auto read = [&](const std::string& pickle) {
    const std::string file = archive(pickle + ".", storage);
    const TorchFile torch(bytes_of(file), "a.pt");
    const auto* view = torch.root().as<TensorView>();
    return view == nullptr ? std::vector<float>{} : floats(*view);
  };
  EXPECT_THAT(read(tensor("K\x02K\x03", "K\x03K\x01", 0, 6)), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(read(tensor("K\x03K\x02", "K\x01K\x03", 0, 6)), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(read(tensor("K\x02", "K\x01", 3, 6)), ElementsAre(3, 4));
  EXPECT_THAT(read(tensor("K\x03", "K\x02", 1, 6)), ElementsAre(1, 3, 5));
  EXPECT_THAT(read(tensor("", "", 5, 6)), ElementsAre(5));
  EXPECT_THAT(read(tensor("K\x01K\x06", "K\x00K\x01"s, 0, 6)), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(read(tensor("K\x00K\x06"s, "K\x06K\x01", 0, 6)), ElementsAre());
  // A parameter is its tensor.
  EXPECT_THAT(read("ctorch._utils\n_rebuild_parameter\n(" + tensor("K\x02", "K\x01", 0, 6) +
                   "\x88" + "ccollections\nOrderedDict\n)RtR"),
              ElementsAre(0, 1));
}

TEST(TorchPickle, RefusesTensorsOutsideTheirStorage) {
  const std::string storage = six_floats();
  const auto error = [&](const std::string& pickle) {
    return error_of_pickle(pickle + ".", storage);
  };
  EXPECT_THAT(error(tensor("K\x07", "K\x01", 0, 6)), HasSubstr("within the 6 elements"));
  EXPECT_THAT(error(tensor("K\x06", "K\x01", 1, 6)), HasSubstr("within the 6 elements"));
  EXPECT_THAT(error(tensor("K\x02K\x03", "K\x04K\x01", 0, 6)), HasSubstr("strides [4, 1]"));
  EXPECT_THAT(error(tensor("K\x02", "J\xff\xff\xff\xff", 5, 6)), HasSubstr("within"));
  EXPECT_THAT(error(tensor("J\xff\xff\xff\xff", "K\x01", 0, 6)), HasSubstr("can be counted"));
  EXPECT_THAT(error(tensor("K\x02", "K\x01", -1, 6)), HasSubstr("can be counted"));
  EXPECT_THAT(error(tensor("K\x02K\x03", "K\x01", 0, 6)), HasSubstr("a stride a dimension"));
  // Products and sums that overflow.
  const std::string huge = integer(std::int64_t{1} << 62);
  EXPECT_THAT(error(tensor(huge + huge, "K\x01K\x01", 0, 6)), HasSubstr("can be counted"));
  EXPECT_THAT(error(tensor("K\x03", huge, 0, 6)), HasSubstr("within"));
  EXPECT_THAT(error(tensor("K\x02", huge, std::int64_t{1} << 62, 6)), HasSubstr("within"));
  // A stride of nothing would make a terabyte of one number.
  EXPECT_THAT(error(tensor(integer(std::int64_t{1} << 38), "K\x00"s, 0, 6)),
              HasSubstr("each element once"));
  // Many transposed views of one storage are copies, at most as many bytes as the file has.
  std::string many = "](";
  for (int i = 0; i < 100; ++i) many += tensor("K\x03K\x02", "K\x01K\x03", 0, 6);
  std::string pile = many + "e.";
  EXPECT_NO_THROW(TorchFile(bytes_of(archive(pile, storage)), "a.pt"));
}

TEST(TorchPickle, RefusesStoragesOfAnotherLength) {
  const std::string storage = six_floats();
  EXPECT_THAT(error_of_pickle(tensor("K\x02", "K\x01", 0, 7) + ".", storage),
              HasSubstr("expected 28 bytes, got 24"));
  EXPECT_THAT(error_of_pickle(tensor("K\x02", "K\x01", 0, 6, "DoubleStorage") + ".", storage),
              HasSubstr("expected 48 bytes"));
  EXPECT_THAT(error_of_pickle(tensor("K\x02", "K\x01", 0, std::int64_t{1} << 62) + ".", storage),
              HasSubstr("can be counted"));
  EXPECT_THAT(
      error_of([&] {
        TorchFile(
            bytes_of(zip_of({stored_entry("a/data.pkl", "\x80\x02" + tensor("", "", 0, 6) + ".")})),
            "a.pt");
      }),
      HasSubstr("a/data/0"));
}

TEST(TorchPickle, RefusesEveryOtherGlobalByName) {
  const auto refused = [](std::string_view name) {
    return HasSubstr(fmt::format("refused {}", name));
  };
  // os.system("touch ..."), as an attacker writes it, in three spellings.
  const fs::path witness = fs::temp_directory_path() / fmt::format("safesail_pwned{}", ::getpid());
  const std::string argument = text("touch " + witness.string()) + "\x85R.";
  EXPECT_THAT(error_of_pickle("cposix\nsystem\n" + argument), refused("posix.system"));
  EXPECT_THAT(error_of_pickle("\x8c\x05posix\x8c\x06system\x93" + argument),
              refused("posix.system"));
  EXPECT_THAT(error_of_pickle("(" + text("id") + "iposix\nsystem\n."), refused("posix.system"));
  EXPECT_FALSE(fs::exists(witness));

  EXPECT_THAT(error_of_pickle("cbuiltins\neval\n."), refused("builtins.eval"));
  EXPECT_THAT(error_of_pickle("cbuiltins\ngetattr\n."), refused("builtins.getattr"));
  EXPECT_THAT(error_of_pickle("ctorch.storage\nUntypedStorage\n."),
              refused("torch.storage.UntypedStorage"));
  EXPECT_THAT(error_of_pickle("ctorch._utils\n_rebuild_device_tensor_from_numpy\n."),
              refused("torch._utils._rebuild_device_tensor_from_numpy"));
  EXPECT_THAT(error_of_pickle("c__main__\nMy\nSAE\n."), refused("__main__.My"));
  EXPECT_THAT(error_of_pickle("c\x01\xff\nx\n."), refused("\\u0001"));
}

TEST(TorchPickle, RefusesOpcodesThatTensorsDoNotNeed) {
  for (const char opcode : "012ILSVPFgldop\x81\x82\x83\x84\x8f\x90\x91\x92\x96\x97\x98\xff"s) {
    if (opcode == '0' || opcode == '1') continue;  // POP and POP_MARK are known, and miss a value
    EXPECT_THAT(error_of_pickle("N"s + opcode + "0\n.", ""), HasSubstr("refused opcode"))
        << int(static_cast<unsigned char>(opcode));
  }
  EXPECT_THAT(error_of_pickle("\x80\x00N."s), HasSubstr("protocol 2 to 5, got 0"));
}

TEST(TorchPickle, RefusesPicklesThatAreNotWellFormed) {
  EXPECT_THAT(error_of_pickle(""), HasSubstr("expected 1 bytes more"));
  EXPECT_THAT(error_of_pickle("."), HasSubstr("one value at the end"));
  EXPECT_THAT(error_of_pickle("NN."), HasSubstr("one value at the end"));
  EXPECT_THAT(error_of_pickle("N.N"), HasSubstr("end of the pickle"));
  EXPECT_THAT(error_of_pickle("(N."), HasSubstr("one value at the end"));
  EXPECT_THAT(error_of_pickle("N(0."), HasSubstr("a value on the stack"));
  EXPECT_THAT(error_of_pickle("t."), HasSubstr("expected a mark"));
  EXPECT_THAT(error_of_pickle("h\x05."), HasSubstr("memo 5"));
  EXPECT_THAT(error_of_pickle("NNa."), HasSubstr("a list to append to"));
  EXPECT_THAT(error_of_pickle(")Na."), HasSubstr("a list to append to"));
  EXPECT_THAT(error_of_pickle("]NNs."), HasSubstr("a dict"));
  EXPECT_THAT(error_of_pickle("}(Nu."), HasSubstr("a dict and pairs"));
  EXPECT_THAT(error_of_pickle("}NNs."), HasSubstr("as a key"));
  EXPECT_THAT(error_of_pickle("X\xff\xff\xff\xff."), HasSubstr("bytes more"));
  EXPECT_THAT(error_of_pickle("\x8d" + std::string(8, '\xff')), HasSubstr("bytes more"));
  EXPECT_THAT(error_of_pickle("\x8b\xff\xff\xff\xff"), HasSubstr("bytes more"));
  EXPECT_THAT(error_of_pickle("\x8a\x09" + std::string(9, '\1') + "."), HasSubstr("64 bits"));
  EXPECT_THAT(error_of_pickle("\x95" + std::string(8, '\xff')), HasSubstr("frame"));
  EXPECT_THAT(error_of_pickle("ctorch"), HasSubstr("end of a line"));
  EXPECT_THAT(error_of_pickle("ctorch\nFloatStorage\n."), HasSubstr("bare class"));
  EXPECT_THAT(error_of_pickle("ctorch\nFloatStorage\n)R."), HasSubstr("torch.FloatStorage"));
  EXPECT_THAT(error_of_pickle("N)R."), HasSubstr("a global to call"));
  EXPECT_THAT(error_of_pickle("NQ."), HasSubstr("names a storage"));
  EXPECT_THAT(error_of_pickle("}Nb."), HasSubstr("OrderedDict whose attributes"));
}

TEST(TorchPickle, RefusesCyclesAndDepth) {
  EXPECT_THAT(error_of_pickle("]q\x01h\x01"s + "a."), HasSubstr("nested"));
  EXPECT_THAT(error_of_pickle(std::string(100'000, ']') + std::string(99'999, 'a') + "."),
              HasSubstr("nested"));
  // A list of ten of a list of ten of ... stays small while it is shared.
  std::string laughs = "]";
  for (int i = 0; i < 40; ++i) {
    laughs += "q\x01"s + "0](";
    for (int j = 0; j < 10; ++j) laughs += "h\x01";
    laughs += "e";
  }
  EXPECT_NO_THROW(TorchFile(bytes_of(archive(laughs + ".")), "a.pt"));
}

TEST(TorchPickle, ReadsAStateDictWithItsAttributes) {
  const std::string file =
      archive("ccollections\nOrderedDict\n)R" + text("w") + tensor("K\x06", "K\x01", 0, 6) + "s}" +
                  text("_metadata") + "}sb.",
              six_floats());
  const TorchFile torch(bytes_of(file), "a.pt");
  EXPECT_EQ(torch.root().dict()->find("w")->kind(), "tensor F32 [6]");
  EXPECT_EQ(torch.root().dict()->items.size(), 1u);
}

TEST(TorchPickle, RefusesOtherContainersByName) {
  const auto error = [](const std::string& bytes) {
    return error_of([&] { TorchFile(bytes_of(bytes), "a.pt"); });
  };
  EXPECT_THAT(error("\x80\x02\x8a\nl\xfc\x9c"
                    "F\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."),
              HasSubstr("old format"));
  EXPECT_THAT(error("hello"), HasSubstr("something else"));
  EXPECT_THAT(error(zip_of({stored_entry("W_enc.npy", "x")})), HasSubstr("data.pkl"));
  EXPECT_THAT(error(zip_of({stored_entry("a/data.pkl", "\x80\x02N."),
                            stored_entry("b/data.pkl", "\x80\x02N.")})),
              HasSubstr("several"));
  EXPECT_THAT(error(zip_of({stored_entry("a/data.pkl", "\x80\x02N."),
                            stored_entry("a/constants.pkl", "\x80\x02).")})),
              HasSubstr("TorchScript"));
  EXPECT_THAT(
      error(zip_of({stored_entry("a/byteorder", "big"), stored_entry("a/data.pkl", "\x80\x02N.")})),
      HasSubstr("\"big\""));
  TestEntry damaged = stored_entry("a/data.pkl", "\x80\x02N.");
  damaged.crc ^= 1;
  EXPECT_THAT(error(zip_of({damaged})), HasSubstr("checksum"));
}

const fs::path kTorchFiles = fs::path(SAFESAIL_SOURCE_DIR) / "tests/data/dialects/torch";

/// Each file holds what torch_files() of scripts/golden/dialects.py put into it.
TEST(TorchPickle, ReadsWhatTorchWritesInEveryProtocol) {
  for (const int protocol : {2, 3, 4, 5}) {
    const TorchFile torch(kTorchFiles / fmt::format("protocol{}.pt", protocol));
    const PickleDict& dict = *torch.root().dict();
    const auto tensor_at = [&](std::string_view key) { return *dict.find(key)->as<TensorView>(); };
    EXPECT_THAT(floats(tensor_at("transposed")), ElementsAre(0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11));
    EXPECT_THAT(floats(tensor_at("slice")), ElementsAre(5, 6, 9, 10));
    EXPECT_THAT(floats(tensor_at("step")), ElementsAre(1, 4, 7, 10));
    EXPECT_THAT(tensor_at("shared").shape, ElementsAre(3, 4));
    EXPECT_THAT(floats(tensor_at("parameter")), ElementsAre(1, 1));
    EXPECT_THAT(floats(tensor_at("scalar")), ElementsAre(7.5f));
    EXPECT_THAT(tensor_at("empty").shape, ElementsAre(0, 3));
    for (const auto& [name, dtype] : {std::pair{"f64", DType::f64},
                                      {"f16", DType::f16},
                                      {"bf16", DType::bf16},
                                      {"i64", DType::i64},
                                      {"i32", DType::i32},
                                      {"i16", DType::i16},
                                      {"i8", DType::i8},
                                      {"u8", DType::u8},
                                      {"bool", DType::boolean}}) {
      EXPECT_EQ(tensor_at(name).dtype, dtype) << name << " of protocol " << protocol;
      EXPECT_EQ(tensor_at(name).bytes.size(), 3 * size_of(dtype)) << name;
    }
    EXPECT_EQ(*dict.find("int")->as<std::int64_t>(), 5);
    EXPECT_EQ(*dict.find("big")->as<std::int64_t>(), std::int64_t{1} << 40);
    EXPECT_EQ(*dict.find("negative")->as<std::int64_t>(), -3);
    EXPECT_EQ(*dict.find("float")->as<double>(), 0.25);
    EXPECT_TRUE(*dict.find("true")->as<bool>());
    EXPECT_EQ(dict.find("none")->kind(), "None");
    EXPECT_EQ(*dict.find("text")->as<std::string_view>(), "a\xc3\xa9");
    EXPECT_EQ(dict.find("list")->as<PickleList>()->size(), 3u);
    EXPECT_EQ(dict.find("tuple")->as<PickleList>()->size(), 2u);
    EXPECT_EQ(*dict.find("dict")->dict()->find("a")->dict()->find("b")->as<std::int64_t>(), 1);
  }
}

TEST(TorchPickle, ReadsAStateDictOfTorchAndRefusesAModule) {
  const TorchFile torch(kTorchFiles / "state_dict.pt");
  EXPECT_EQ(torch.root().dict()->find("weight")->kind(), "tensor F32 [3, 2]");
  EXPECT_THAT(error_of([] { TorchFile file(kTorchFiles / "module.pt"); }),
              HasSubstr("refused torch.nn.modules.linear.Linear"));
  EXPECT_THAT(error_of([] { TorchFile file(kTorchFiles / "legacy.pt"); }), HasSubstr("old format"));
}

TEST(TorchPickle, WhatIsWrittenIsReadAndACutAtEveryByteIsAnError) {
  const TempFolder folder;
  const std::array<float, 4> weights = {1, -2, 3.5f, 4};
  const std::array<std::int64_t, 1> wide = {-7};
  write_torch(folder / "a.pt",
              std::vector<TorchItem>{
                  {"w", TensorView{DType::f32, {2, 2}, std::as_bytes(std::span(weights))}},
                  {"scalar", TensorView{DType::i64, {}, std::as_bytes(std::span(wide))}},
                  {"k", std::int64_t{5}},
                  {"big", std::int64_t{1} << 40},
                  {"p", 0.25}});
  const TorchFile torch(folder / "a.pt");
  const PickleDict& dict = *torch.root().dict();
  EXPECT_THAT(floats(*dict.find("w")->as<TensorView>()), ElementsAre(1, -2, 3.5f, 4));
  EXPECT_EQ(dict.find("scalar")->kind(), "tensor I64 []");
  EXPECT_EQ(*dict.find("k")->as<std::int64_t>(), 5);
  EXPECT_EQ(*dict.find("big")->as<std::int64_t>(), std::int64_t{1} << 40);
  EXPECT_EQ(*dict.find("p")->as<double>(), 0.25);

  const std::string file = read_file(folder / "a.pt", 1 << 20);
  for (std::size_t n = 0; n < file.size(); ++n)
    EXPECT_THAT(error_of([&] { TorchFile(bytes_of(file.substr(0, n)), "a.pt"); }),
                HasSubstr("a.pt"))
        << n;
}

TEST(TorchPickle, AnyDamagedByteOfThePickleIsAnErrorOrAValidFile) {
  const std::string pickle = "}(" + text("w") + tensor("K\x02K\x03", "K\x03K\x01", 0, 6) + "u.";
  for (std::size_t i = 0; i < pickle.size(); ++i) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string damaged = pickle;
      damaged[i] = static_cast<char>(byte);
      try {
        TorchFile(bytes_of(archive(damaged, six_floats())), "a.pt");
      } catch (const Error&) {
      }
    }
  }
}

}  // namespace
}  // namespace safesail
