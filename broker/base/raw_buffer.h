// base/raw_buffer.h
//
// Room for bytes that are about to be received: not cleared first, as a Buffer would be.
#pragma once

#include <cstddef>
#include <memory>

namespace millrace {

class RawBuffer {
public:
    RawBuffer() = default;
    explicit RawBuffer(std::size_t size)
        : data_(std::make_unique_for_overwrite<std::byte[]>(size)), size_(size) {}

    std::byte* data() { return data_.get(); }
    const std::byte* data() const { return data_.get(); }
    std::size_t size() const { return size_; }
    std::byte* begin() { return data(); }
    std::byte* end() { return data() + size_; }
    const std::byte* begin() const { return data(); }
    const std::byte* end() const { return data() + size_; }

private:
    std::unique_ptr<std::byte[]> data_;
    std::size_t size_ = 0;
};

}  // namespace millrace
