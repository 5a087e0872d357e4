#include "formats/torch_pickle.h"

#include <fmt/format.h>
#include <map>
#include <optional>

#include "base/error.h"
#include "formats/json.h"
#include "formats/unpickler.h"
#include "formats/zip.h"

namespace safesail {
namespace {

constexpr std::size_t kMaxPickleBytes = std::size_t{64} << 20;
constexpr std::string_view kPickleName = "data.pkl";

/// "archive/" of "archive/data.pkl".
std::string prefix_of(const ZipArchive& archive) {
  std::optional<std::string> prefix;
  for (const auto& [name, entry] : archive.entries()) {
    if (name.ends_with("/constants.pkl"))
      bad_input(archive.where(), "expected saved tensors, got a TorchScript program",
                "save its state_dict with torch.save");
    const std::string_view folder = std::string_view(name).substr(0, name.rfind('/') + 1);
    if (name.substr(folder.size()) != kPickleName || folder.empty()) continue;
    if (prefix)
      bad_input(archive.where(), "expected one data.pkl, got several", "save the file again");
    prefix = folder;
  }
  if (!prefix)
    bad_input(archive.where(), "expected a torch archive with a data.pkl, got another zip archive",
              "check that this is the right file");
  return *prefix;
}

void require_zip(std::span<const std::byte> bytes, const std::string& where) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  // torch before 1.6 (and the flag _use_new_zipfile_serialization=False) began with a magic number
  // as a pickle of its own; before 0.1.11 with a tar archive.
  if (text.starts_with("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"))
    bad_input(where, "expected a zip archive as torch.save writes since 1.6, got its old format",
              "load it where you trust it and save it again with a newer torch");
  if (!text.starts_with("PK"))
    bad_input(where, "expected a zip archive as torch.save writes, got something else",
              "check that this is the right file");
}

}  // namespace

struct TorchFile::Contents {
  std::optional<MappedFile> file;
  std::string where;
  Unpickled unpickled;

  void read(std::span<const std::byte> bytes);
};

void TorchFile::Contents::read(std::span<const std::byte> bytes) {
  require_zip(bytes, where);
  const ZipArchive archive(bytes, where);
  const std::string prefix = prefix_of(archive);
  const std::string order_name = prefix + "byteorder";
  if (archive.find(order_name) != nullptr) {
    const auto order = archive.unpack(order_name, 16);
    const std::string_view text(reinterpret_cast<const char*>(order.data()), order.size());
    if (text != "little")
      bad_input(where, fmt::format("expected byte order little, got {}", printable(text)),
                "save it on a little-endian machine");
  }
  const std::string pickle_name = prefix + std::string(kPickleName);
  if (archive.find(pickle_name)->size > kMaxPickleBytes)
    bad_input(where, fmt::format("expected a pickle of at most {} bytes", kMaxPickleBytes),
              "save the tensors alone");

  std::map<std::string, std::span<const std::byte>> storages;  // each is checked by its CRC once
  const FindStorage find_storage = [&](const std::string& key, std::uint64_t n_bytes) {
    auto entry = storages.find(key);
    if (entry == storages.end())
      entry = storages.emplace(key, archive.stored(prefix + "data/" + key)).first;
    if (entry->second.size() != n_bytes)
      bad_input(fmt::format("{}: storage {}", where, printable(key)),
                fmt::format("expected {} bytes, got {}", n_bytes, entry->second.size()),
                "the file is damaged: fetch it again");
    return entry->second;
  };
  unpickled = unpickle(archive.stored(pickle_name), find_storage, bytes.size(),
                       fmt::format("{}: {}", where, kPickleName));
}

TorchFile::TorchFile(const fs::path& path) : contents_(std::make_unique<Contents>()) {
  contents_->where = path.string();
  contents_->file.emplace(path);
  contents_->read(contents_->file->bytes());
}

TorchFile::TorchFile(std::span<const std::byte> bytes, std::string where)
    : contents_(std::make_unique<Contents>()) {
  contents_->where = std::move(where);
  contents_->read(bytes);
}

TorchFile::~TorchFile() = default;
TorchFile::TorchFile(TorchFile&&) noexcept = default;
TorchFile& TorchFile::operator=(TorchFile&&) noexcept = default;

const std::string& TorchFile::where() const {
  return contents_->where;
}

const PickleValue& TorchFile::root() const {
  return *contents_->unpickled.root;
}

const PickleValue* PickleDict::find(std::string_view key) const {
  for (std::size_t i = items.size(); i-- > 0;) {
    const auto* name = items[i].first->as<std::string_view>();
    if (name != nullptr && *name == key) return items[i].second;
  }
  return nullptr;
}

std::string PickleValue::kind() const {
  constexpr const char* kNames[] = {"None",  "bool",   "int",  "float", "string",
                                    "bytes", "tensor", "list", "dict"};
  if (const auto* tensor = as<TensorView>())
    return fmt::format("tensor {} {}", name_of(tensor->dtype), tensor->shape_text());
  return kNames[content_.index()];
}

}  // namespace safesail
