// net/ledger.h
//
// The broker's budget of request and response bytes. Whoever is about to hold bytes on a peer's
// behalf reserves them first; a refusal is answered by not reading. Called from every shard.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace millrace::net {

class Ledger {
public:
    explicit Ledger(std::int64_t limit_bytes) : limit_(limit_bytes) {}

    bool try_reserve(std::int64_t bytes) {
        const std::int64_t before = used_.fetch_add(bytes, std::memory_order_relaxed);
        if (before + bytes > limit_) {
            used_.fetch_sub(bytes, std::memory_order_relaxed);
            return false;
        }
        return true;
    }
    void release(std::int64_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }

    std::int64_t used() const { return used_.load(std::memory_order_relaxed); }
    std::int64_t limit() const { return limit_; }

private:
    const std::int64_t limit_;
    std::atomic<std::int64_t> used_{0};
};

/// A reservation that ends with its scope.
class Reservation {
public:
    Reservation() = default;
    static Reservation try_make(Ledger& ledger, std::int64_t bytes) {
        Reservation made;
        if (ledger.try_reserve(bytes)) {
            made.ledger_ = &ledger;
            made.bytes_ = bytes;
        }
        return made;
    }
    Reservation(Reservation&& other) noexcept
        : ledger_(std::exchange(other.ledger_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Reservation& operator=(Reservation&& other) noexcept {
        std::swap(ledger_, other.ledger_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~Reservation() {
        if (ledger_ != nullptr) {
            ledger_->release(bytes_);
        }
    }
    explicit operator bool() const { return ledger_ != nullptr; }
    std::int64_t bytes() const { return bytes_; }
    const Ledger* ledger() const { return ledger_; }

    /// What is there already can't be refused: others wait, as long as the ledger is over its
    /// limit.
    void become(std::int64_t bytes) {
        if (ledger_ != nullptr) {
            ledger_->release(bytes_ - bytes);
            bytes_ = bytes;
        }
    }

private:
    Ledger* ledger_ = nullptr;
    std::int64_t bytes_ = 0;
};

}  // namespace millrace::net
