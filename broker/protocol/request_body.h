// protocol/request_body.h
//
// A request's body on its way to who decodes it, with what may be made of it.
#pragma once

#include <algorithm>
#include <cstddef>

#include "base/bytes.h"
#include "protocol/reader.h"

namespace millrace::protocol {

class RequestBody {
public:
    /// Lent. What its size allows may be made of it, and nobody counts.
    RequestBody(ByteView bytes) : bytes_(bytes), budget_(Reader::budget_for(bytes.size())) {}
    /// At most `room` bytes may be made of it, and `made` hears how many were.
    RequestBody(ByteView bytes, std::size_t room, std::size_t& made)
        : bytes_(bytes), budget_(std::min(Reader::budget_for(bytes.size()), room)), made_(&made) {}

    ByteView bytes() const { return bytes_; }
    std::size_t budget() const { return budget_; }
    void tell_made(std::size_t bytes) const {
        if (made_ != nullptr) {
            *made_ = bytes;
        }
    }

private:
    ByteView bytes_;
    std::size_t budget_;
    std::size_t* made_ = nullptr;
};

}  // namespace millrace::protocol
