// Big arrays of numbers that kernels stream through: 64-byte aligned, on huge pages where the
// kernel grants them (a gather over 8 KB rows of a 160 MB matrix otherwise misses the TLB on every
// row). Move-only owner; contents start as zeros. Allocation failure is an environment error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace safesail {

/// Zeroed bytes, released by free(); see Aligned.
void* allocate_aligned_zeros(std::size_t bytes);
void free_aligned(void* bytes) noexcept;

template <class T>
class Aligned {
 public:
  Aligned() = default;
  explicit Aligned(std::size_t size)
      : data_(static_cast<T*>(allocate_aligned_zeros(size * sizeof(T)))), size_(size) {}

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T& operator[](std::size_t i) { return data_.get()[i]; }
  const T& operator[](std::size_t i) const { return data_.get()[i]; }
  std::span<T> span() { return {data_.get(), size_}; }
  std::span<const T> span() const { return {data_.get(), size_}; }
  /// Grows to at least `size` elements; the contents are then zeros, not the old ones.
  void reserve_zeros(std::size_t size) {
    if (size > size_) *this = Aligned(size);
  }

 private:
  struct Free {
    void operator()(T* bytes) const noexcept { free_aligned(bytes); }
  };
  std::unique_ptr<T, Free> data_;
  std::size_t size_ = 0;
};

}  // namespace safesail
