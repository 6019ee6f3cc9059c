// metadata/short_list.h
//
// ShortList<T, inline_count>: the few ids of a partition (replicas, ISR, directories) without a
// heap block of their own: an image holds millions of them. Ordered as given; equality is by order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/uuid.h"
#include "model/ids.h"

namespace millrace::metadata {

template <typename T, std::uint32_t inline_count>
class ShortList {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    using value_type = T;

    ShortList() {}
    ShortList(std::initializer_list<T> values) { assign(values.begin(), values.size()); }
    explicit ShortList(std::span<const T> values) { assign(values.data(), values.size()); }
    explicit ShortList(const std::vector<T>& values) { assign(values.data(), values.size()); }
    ShortList(const ShortList& other) { assign(other.data(), other.size_); }
    ShortList(ShortList&& other) noexcept { steal(other); }
    ShortList& operator=(const ShortList& other) {
        if (this != &other) {
            free_heap();
            assign(other.data(), other.size_);
        }
        return *this;
    }
    ShortList& operator=(ShortList&& other) noexcept {
        if (this != &other) {
            free_heap();
            steal(other);
        }
        return *this;
    }
    ~ShortList() { free_heap(); }

    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    const T* begin() const { return data(); }
    const T* end() const { return data() + size_; }
    const T& operator[](std::size_t i) const {
        MR_ASSERT(i < size_);
        return data()[i];
    }
    operator std::span<const T>() const { return {data(), size_}; }  // NOLINT: a view, as vector's
    std::vector<T> to_vector() const { return {begin(), end()}; }

    bool contains(const T& value) const { return std::find(begin(), end(), value) != end(); }
    friend bool operator==(const ShortList& a, const ShortList& b) {
        return std::equal(a.begin(), a.end(), b.begin(), b.end());
    }

private:
    const T* data() const { return size_ <= inline_count ? store_.inside : store_.heap; }
    void assign(const T* from, std::size_t count) {
        size_ = static_cast<std::uint32_t>(count);
        T* to = store_.inside;
        if (size_ > inline_count) {
            to = store_.heap = new T[count];
        }
        std::copy_n(from, count, to);
    }
    void steal(ShortList& other) {
        store_ = other.store_;
        size_ = std::exchange(other.size_, 0);
    }
    void free_heap() {
        if (size_ > inline_count) {
            delete[] store_.heap;
        }
        size_ = 0;
    }

    union Store {
        Store() {}
        T inside[inline_count];
        T* heap;
    } store_;
    std::uint32_t size_ = 0;
};

using BrokerList = ShortList<BrokerId, 4>;
using DirectoryList = ShortList<Uuid, 1>;

}  // namespace millrace::metadata
