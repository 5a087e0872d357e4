#include "formats/unpickler.h"

#include <array>
#include <bit>
#include <cstring>
#include <fmt/format.h>
#include <unordered_map>

#include "base/error.h"
#include "formats/json.h"

namespace safesail {
namespace {

constexpr std::size_t kMaxNodes = 4'000'000;
constexpr int kMaxDepth = 64;
constexpr std::string_view kDamaged = "the file is damaged: fetch it again";

enum class Role { ordered_dict, rebuild_tensor, rebuild_parameter, storage };

/// All that a pickle may name.
struct Global {
  std::string_view module, name;
  Role role;
  DType dtype = DType::f32;  ///< of a storage
};

constexpr std::array kGlobals = {
    Global{"collections", "OrderedDict", Role::ordered_dict},
    Global{"torch._utils", "_rebuild_tensor_v2", Role::rebuild_tensor},
    Global{"torch._utils", "_rebuild_parameter", Role::rebuild_parameter},
    Global{"torch", "DoubleStorage", Role::storage, DType::f64},
    Global{"torch", "FloatStorage", Role::storage, DType::f32},
    Global{"torch", "HalfStorage", Role::storage, DType::f16},
    Global{"torch", "BFloat16Storage", Role::storage, DType::bf16},
    Global{"torch", "LongStorage", Role::storage, DType::i64},
    Global{"torch", "IntStorage", Role::storage, DType::i32},
    Global{"torch", "ShortStorage", Role::storage, DType::i16},
    Global{"torch", "CharStorage", Role::storage, DType::i8},
    Global{"torch", "ByteStorage", Role::storage, DType::u8},
    Global{"torch", "BoolStorage", Role::storage, DType::boolean},
};

struct Storage {
  DType dtype;
  std::span<const std::byte> bytes;
};

struct Node;
struct Sequence {
  std::vector<Node*> items;
  bool is_tuple;
};
struct Dict {
  std::vector<std::pair<Node*, Node*>> items;
  bool is_ordered;
};

/// A value under construction: what PickleValue knows, and what only the interpreter may see.
struct Node {
  std::variant<std::monostate, bool, std::int64_t, double, std::string_view, PickleBytes,
               TensorView, Sequence, Dict, const Global*, Storage>
      content;
  enum class State { fresh, open, done } state = State::fresh;  // of the conversion
  const PickleValue* value = nullptr;
};

class Unpickler {
 public:
  Unpickler(std::span<const std::byte> pickle, const FindStorage& find_storage,
            std::uint64_t max_copied, const std::string& where)
      : pickle_(pickle), find_storage_(find_storage), max_copied_(max_copied), where_(where) {}

  Unpickled run() {
    while (step()) continue;
    if (position_ != pickle_.size()) refuse("expected the end of the pickle, got more bytes");
    if (!marks_.empty() || stack_.size() != 1)
      refuse("expected one value at the end of the pickle");
    Unpickled result;
    result.root = convert(*stack_[0], result.values, 0);
    result.copies = std::move(copies_);
    return result;
  }

 private:
  // Reading.

  std::string place() const { return fmt::format("{}: byte {}", where_, position_); }
  [[noreturn]] void refuse(std::string_view problem, std::string_view remedy = kDamaged) const {
    bad_input(place(), problem, remedy);
  }

  std::string_view take(std::uint64_t n) {
    if (n > pickle_.size() - position_)
      refuse(fmt::format("expected {} bytes more, got {}", n, pickle_.size() - position_));
    const auto* data = reinterpret_cast<const char*>(pickle_.data()) + position_;
    position_ += n;
    return {data, n};
  }

  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }

  std::string_view line() {
    const std::string_view rest(reinterpret_cast<const char*>(pickle_.data()) + position_,
                                pickle_.size() - position_);
    const std::size_t n = rest.find('\n');
    if (n == rest.npos) refuse("expected the end of a line, got the end of the pickle");
    position_ += n + 1;
    return rest.substr(0, n);
  }

  /// Two's complement of `n` bytes, as Python writes its long integers.
  std::int64_t long_integer(std::uint64_t n) {
    const std::string_view bytes = take(n);
    if (n > 8) refuse("expected an integer of at most 64 bits", "save smaller numbers");
    const bool is_negative = n > 0 && (static_cast<unsigned char>(bytes.back()) & 0x80) != 0;
    std::int64_t value = is_negative ? -1 : 0;
    for (std::size_t i = n; i-- > 0;) value = value * 256 + static_cast<unsigned char>(bytes[i]);
    return value;
  }

  double big_endian_double() {
    auto bits = number<std::uint64_t>();
    bits = __builtin_bswap64(bits);
    return std::bit_cast<double>(bits);
  }

  // The stack.

  template <class T>
  void push(T content) {
    if (nodes_.size() >= kMaxNodes)
      refuse(fmt::format("expected at most {} values", kMaxNodes), "save the tensors alone");
    nodes_.emplace_back().content = std::move(content);
    stack_.push_back(&nodes_.back());
  }

  Node& top() const {
    if (stack_.size() <= base()) refuse("expected a value on the stack, got none");
    return *stack_.back();
  }
  Node& pop() {
    Node& node = top();
    stack_.pop_back();
    return node;
  }
  /// What lies below the last mark is out of reach.
  std::size_t base() const { return marks_.empty() ? 0 : marks_.back(); }

  std::vector<Node*> pop_to_mark() {
    if (marks_.empty()) refuse("expected a mark on the stack, got none");
    const auto first = stack_.begin() + std::ptrdiff_t(marks_.back());
    std::vector<Node*> items(first, stack_.end());
    stack_.erase(first, stack_.end());
    marks_.pop_back();
    return items;
  }

  void push_tuple(std::size_t n) {
    std::vector<Node*> items(n);
    for (std::size_t i = n; i-- > 0;) items[i] = &pop();
    push(Sequence{std::move(items), true});
  }

  void append(const std::vector<Node*>& items) {
    auto* list = std::get_if<Sequence>(&top().content);
    if (list == nullptr || list->is_tuple) refuse("expected a list to append to");
    list->items.insert(list->items.end(), items.begin(), items.end());
  }

  void set_items(const std::vector<Node*>& items) {
    auto* dict = std::get_if<Dict>(&top().content);
    if (dict == nullptr || items.size() % 2 != 0)
      refuse("expected a dict and pairs to put into it");
    for (std::size_t i = 0; i < items.size(); i += 2) {
      const auto& key = items[i]->content;
      if (!std::holds_alternative<std::string_view>(key) &&
          !std::holds_alternative<std::int64_t>(key))
        refuse("expected a string or an integer as a key", "save a dict of named tensors");
      dict->items.emplace_back(items[i], items[i + 1]);
    }
  }

  void put(std::uint32_t slot) { memo_[slot] = &top(); }
  void get(std::uint32_t slot) {
    const auto entry = memo_.find(slot);
    if (entry == memo_.end()) refuse(fmt::format("expected memo {} to be set", slot));
    stack_.push_back(entry->second);
  }

  template <class T>
  const T& want(const Node& node, std::string_view what) const {
    if (const T* content = std::get_if<T>(&node.content)) return *content;
    refuse(fmt::format("expected {}", what));
  }

  // The few objects.

  void push_global(std::string_view module, std::string_view name) {
    for (const Global& global : kGlobals)
      if (global.module == module && global.name == name) return push(&global);
    const std::string full = fmt::format("{}.{}", module, name);
    const std::string shown = printable(full);
    refuse(fmt::format("refused {}: expected tensors, dicts, lists and plain values only",
                       shown.substr(1, shown.size() - 2)),
           "load the file where you trust it and save its tensors alone");
  }

  void push_storage() {
    const auto& id = want<Sequence>(pop(), "a tuple that names a storage").items;
    if (id.size() != 5 || want<std::string_view>(*id[0], "a storage") != "storage")
      refuse("expected a storage of five fields");
    const Global& type = *want<const Global*>(*id[1], "a storage class");
    const std::string key(want<std::string_view>(*id[2], "the key of a storage"));
    const std::int64_t n = want<std::int64_t>(*id[4], "the length of a storage");
    const auto n_bytes = checked_byte_size(type.dtype, std::span(&n, 1));
    if (type.role != Role::storage || !n_bytes) refuse("expected a storage that can be counted");
    push(Storage{type.dtype, find_storage_(key, *n_bytes)});
  }

  std::vector<std::int64_t> integers(const Node& node) const {
    std::vector<std::int64_t> numbers;
    for (const Node* item : want<Sequence>(node, "a tuple of integers").items)
      numbers.push_back(want<std::int64_t>(*item, "an integer"));
    return numbers;
  }

  void reduce() {
    const auto& arguments = want<Sequence>(pop(), "a tuple of arguments").items;
    const Global& callee = *want<const Global*>(pop(), "a global to call");
    switch (callee.role) {
      case Role::ordered_dict:
        if (!arguments.empty()) refuse("expected an OrderedDict that is filled later");
        return push(Dict{{}, true});
      case Role::rebuild_tensor: {
        if (arguments.size() != 6 && arguments.size() != 7)
          refuse("expected six or seven arguments of _rebuild_tensor_v2");
        const auto& storage = want<Storage>(*arguments[0], "the storage of a tensor");
        const StridedTensor tensor{storage.dtype, integers(*arguments[2]), integers(*arguments[3]),
                                   want<std::int64_t>(*arguments[1], "the offset of a tensor"),
                                   storage.bytes};
        return push(contiguous(tensor, copies_, max_copied_, place()));
      }
      case Role::rebuild_parameter:
        if (arguments.size() != 3) refuse("expected three arguments of _rebuild_parameter");
        return push(want<TensorView>(*arguments[0], "the tensor of a parameter"));
      case Role::storage:
        refuse(fmt::format("refused a call of {}.{}", callee.module, callee.name));
    }
  }

  /// torch puts `_metadata` on a state_dict, which carries nothing we need.
  void build() {
    pop();
    if (!want<Dict>(top(), "an OrderedDict whose attributes are set").is_ordered)
      refuse("expected an OrderedDict whose attributes are set, got a dict");
  }

  bool step();
  const PickleValue* convert(Node& node, std::deque<PickleValue>& values, int depth) const;

  std::span<const std::byte> pickle_;
  const FindStorage& find_storage_;
  std::uint64_t max_copied_;
  const std::string& where_;
  std::size_t position_ = 0;
  std::deque<Node> nodes_;
  std::vector<Node*> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint32_t, Node*> memo_;
  TensorCopies copies_;
};

/// One opcode (Python's pickletools names them); false after the last.
bool Unpickler::step() {
  const auto opcode = number<std::uint8_t>();
  switch (opcode) {
    case 0x80:  // PROTO
      if (const auto protocol = number<std::uint8_t>(); protocol < 2 || protocol > 5)
        refuse(fmt::format("expected pickle protocol 2 to 5, got {}", protocol),
               "save the file again with torch");
      return true;
    case 0x95:  // FRAME
      if (number<std::uint64_t>() > pickle_.size() - position_)
        refuse("expected a frame within the pickle");
      return true;
    case '.':
      return false;  // STOP
    case '(':
      marks_.push_back(stack_.size());
      return true;  // MARK
    case '0':
      pop();
      return true;  // POP
    case '1':
      pop_to_mark();
      return true;  // POP_MARK
    case 'N':
      push(std::monostate{});
      return true;
    case 0x88:
      push(true);
      return true;
    case 0x89:
      push(false);
      return true;
    case 'J':
      push(std::int64_t{number<std::int32_t>()});
      return true;  // BININT
    case 'K':
      push(std::int64_t{number<std::uint8_t>()});
      return true;  // BININT1
    case 'M':
      push(std::int64_t{number<std::uint16_t>()});
      return true;  // BININT2
    case 0x8a:
      push(long_integer(number<std::uint8_t>()));
      return true;  // LONG1
    case 0x8b:
      push(long_integer(number<std::uint32_t>()));
      return true;  // LONG4
    case 'G':
      push(big_endian_double());
      return true;  // BINFLOAT
    case 0x8c:
      push(take(number<std::uint8_t>()));
      return true;  // SHORT_BINUNICODE
    case 'X':
      push(take(number<std::uint32_t>()));
      return true;  // BINUNICODE
    case 0x8d:
      push(take(number<std::uint64_t>()));
      return true;  // BINUNICODE8
    case 'C':
      push(PickleBytes{take(number<std::uint8_t>())});
      return true;  // SHORT_BINBYTES
    case 'B':
      push(PickleBytes{take(number<std::uint32_t>())});
      return true;  // BINBYTES
    case 0x8e:
      push(PickleBytes{take(number<std::uint64_t>())});
      return true;  // BINBYTES8
    case '}':
      push(Dict{{}, false});
      return true;
    case ']':
      push(Sequence{{}, false});
      return true;
    case ')':
      push(Sequence{{}, true});
      return true;
    case 't': {  // TUPLE
      auto items = pop_to_mark();
      push(Sequence{std::move(items), true});
      return true;
    }
    case 0x85:
      push_tuple(1);
      return true;
    case 0x86:
      push_tuple(2);
      return true;
    case 0x87:
      push_tuple(3);
      return true;
    case 'a': {  // APPEND
      Node& item = pop();
      append({&item});
      return true;
    }
    case 'e':
      append(pop_to_mark());
      return true;  // APPENDS
    case 's': {     // SETITEM
      Node& value = pop();
      Node& key = pop();
      set_items({&key, &value});
      return true;
    }
    case 'u':
      set_items(pop_to_mark());
      return true;  // SETITEMS
    case 'q':
      put(number<std::uint8_t>());
      return true;  // BINPUT
    case 'r':
      put(number<std::uint32_t>());
      return true;  // LONG_BINPUT
    case 0x94:
      put(static_cast<std::uint32_t>(memo_.size()));
      return true;  // MEMOIZE
    case 'h':
      get(number<std::uint8_t>());
      return true;  // BINGET
    case 'j':
      get(number<std::uint32_t>());
      return true;  // LONG_BINGET
    case 'c': {     // GLOBAL
      const std::string_view module = line();
      push_global(module, line());
      return true;
    }
    case 0x93: {  // STACK_GLOBAL
      const std::string_view name = want<std::string_view>(pop(), "the name of a global");
      push_global(want<std::string_view>(pop(), "the module of a global"), name);
      return true;
    }
    case 'i': {  // INST: named before it is refused below
      const std::string_view module = line();
      push_global(module, line());
      break;
    }
    case 'R':
      reduce();
      return true;
    case 'b':
      build();
      return true;
    case 'Q':
      push_storage();
      return true;  // BINPERSID
    default:
      break;
  }
  --position_;
  refuse(fmt::format("refused opcode 0x{:02x}: expected what torch.save writes for tensors, dicts, "
                     "lists and plain values",
                     opcode),
         "load the file where you trust it and save its tensors alone");
}

/// Values as the caller sees them; shared ones stay shared, cycles and depths are refused.
const PickleValue* Unpickler::convert(Node& node, std::deque<PickleValue>& values,
                                      int depth) const {
  if (node.state == Node::State::done) return node.value;
  if (node.state == Node::State::open || depth > kMaxDepth)
    bad_input(where_,
              fmt::format("expected values nested at most {} deep, got deeper ones", kMaxDepth),
              "save a dict of named tensors");
  node.state = Node::State::open;
  PickleValue::Variant content;
  if (const auto* sequence = std::get_if<Sequence>(&node.content)) {
    PickleList list;
    list.reserve(sequence->items.size());
    for (Node* item : sequence->items) list.push_back(convert(*item, values, depth + 1));
    content = std::move(list);
  } else if (const auto* dict = std::get_if<Dict>(&node.content)) {
    PickleDict copy;
    copy.items.reserve(dict->items.size());
    for (const auto& [key, value] : dict->items) {
      const PickleValue* first = convert(*key, values, depth + 1);
      copy.items.emplace_back(first, convert(*value, values, depth + 1));
    }
    content = std::move(copy);
  } else {
    std::visit(
        [&]<class T>(const T& plain) {
          if constexpr (std::is_same_v<T, const Global*> || std::is_same_v<T, Storage>)
            bad_input(where_, "expected values, got a bare class or storage",
                      "save a dict of named tensors");
          else if constexpr (!std::is_same_v<T, Sequence> && !std::is_same_v<T, Dict>)
            content = plain;
        },
        node.content);
  }
  values.emplace_back(std::move(content));
  node.state = Node::State::done;
  return node.value = &values.back();
}

}  // namespace

Unpickled unpickle(std::span<const std::byte> pickle, const FindStorage& find_storage,
                   std::uint64_t max_copied, const std::string& where) {
  return Unpickler(pickle, find_storage, max_copied, where).run();
}

std::string_view torch_storage_of(DType dtype) {
  for (const Global& global : kGlobals)
    if (global.role == Role::storage && global.dtype == dtype) return global.name;
  return {};
}

}  // namespace safesail
