// net/frame.h
//
// One request as it was cut from the stream, and the token that answers it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "net/ledger.h"
#include "runtime/disk.h"
#include "runtime/executor.h"

namespace millrace::net {

/// The bytes of one frame, without its length. Lent: bytes() is valid only until the dispatch call
/// returns, unless keep() was called.
class Frame {
public:
    explicit Frame(MutableBytes lent, Reservation charge = {})
        : bytes_(lent), charge_(std::move(charge)) {}
    template <typename Owned>
    Frame(std::shared_ptr<Owned> owned, Reservation charge)
        : bytes_(*owned), owned_(std::move(owned)), charge_(std::move(charge)) {}
    Frame(Frame&&) = default;
    Frame& operator=(Frame&&) = default;

    ByteView bytes() const { return bytes_; }
    /// A request is its handler's to patch in place (offsets, epochs) before it is stored.
    MutableBytes mutable_bytes() { return bytes_; }

    /// Makes the bytes live as long as this frame: one copy if they were lent. Call it before
    /// views into the frame are made.
    void keep() {
        if (!owned_) {
            auto copy = std::make_shared<Buffer>(bytes_.begin(), bytes_.end());
            bytes_ = *copy;
            owned_ = std::move(copy);
        }
    }

    /// How many bytes more its handler may hold on its behalf: a share of what the ledger has left.
    std::int64_t room() const;
    /// How long its answer may get. Never little: what is asked must be answered in hard times,
    /// too.
    std::int64_t room_to_answer() const;
    /// What its handler holds beyond bytes(), now and until told otherwise or the frame is gone.
    /// The ledger takes it as said: ask room() first.
    void hold(std::int64_t bytes);
    std::int64_t held() const { return held_; }
    /// It holds much while others are in need of memory: time to come to an end.
    bool is_in_the_way() const;

private:
    MutableBytes bytes_;
    std::shared_ptr<void> owned_;
    Reservation charge_;
    std::int64_t held_ = 0;  ///< Of the charge, beyond bytes_.
};

struct FileRange {
    runtime::FilePtr file;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

/// What goes back: bytes, with file ranges spliced in. The 4-byte frame length is net's to add.
struct Response {
    struct Splice {
        std::size_t position = 0;  ///< Before this byte of `bytes`.
        FileRange range;
    };
    Buffer bytes;
    std::vector<Splice> splices;  ///< Ascending by position.
    std::int16_t kind = -1;       ///< What it answers, in the words of who made it.
    Instant received;             ///< When that was asked; comes back in Dispatch::on_answer.
    bool none = false;            ///< acks=0: nothing is sent, the slot is just given up.
    bool close_after = false;     ///< The connection ends once this has left.
    Duration mute{};              ///< The connection's next requests wait for so long.

    std::uint64_t size() const {
        std::uint64_t total = bytes.size();
        for (const Splice& splice : splices) {
            total += splice.range.length;
        }
        return total;
    }
};

/// Takes the answer to one request to its connection. Dropping it unsent closes the connection: a
/// request is answered or visibly failed, never forgotten.
class Reply {
public:
    struct Target {
        virtual ~Target() = default;
        virtual void deliver(std::uint64_t connection, std::uint64_t sequence,
                             Response response) = 0;
        virtual void abandon(std::uint64_t connection, std::uint64_t sequence) = 0;
        virtual runtime::Executor& home() = 0;
        /// On its home loop. What has gone takes no answer.
        virtual bool is_open(std::uint64_t /*connection*/) const { return true; }
    };

    Reply() = default;
    Reply(std::shared_ptr<Target> target, std::uint64_t connection, std::uint64_t sequence)
        : target_(std::move(target)), connection_(connection), sequence_(sequence) {}
    Reply(Reply&&) = default;
    Reply& operator=(Reply&& other) noexcept;
    ~Reply() { abandon(); }

    /// From any shard. At most once.
    void send(Response response);
    /// Somebody is there to hear the answer. On the connection's loop.
    bool is_wanted() const { return target_ != nullptr && target_->is_open(connection_); }
    explicit operator bool() const { return target_ != nullptr; }

private:
    void abandon();
    std::shared_ptr<Target> target_;
    std::uint64_t connection_ = 0;
    std::uint64_t sequence_ = 0;
};

}  // namespace millrace::net
