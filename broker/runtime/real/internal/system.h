// runtime/real/internal/system.h
//
// The kernel's vocabulary in ours: descriptors that close themselves, errno as Error.
#pragma once

#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/time.h"

namespace millrace::runtime::internal {

class Descriptor {
public:
    Descriptor() = default;
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        if (this != &other) {
            reset();
            number_ = std::exchange(other.number_, -1);
        }
        return *this;
    }
    ~Descriptor() { reset(); }

    int get() const { return number_; }
    explicit operator bool() const { return number_ >= 0; }
    void reset();

private:
    int number_ = -1;
};

/// The error of the last failed call: "rename /a/b: Permission denied".
Error system_error(std::string_view what, int error_number);

Instant monotonic_now();
Timestamp wall_now();

}  // namespace millrace::runtime::internal
