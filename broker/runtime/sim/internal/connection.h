// runtime/sim/internal/connection.h
//
// One simulated TCP connection: two ends, each with the kernel's memory of it (what arrived, what
// is held back by a partition) and the program's hold on it (events, pause).
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <span>

#include "runtime/net.h"
#include "runtime/sim/internal/world.h"

namespace millrace::runtime::sim {

class SimExecutor;
class SimNetwork;
class SimNode;

class Connection final : public std::enable_shared_from_this<Connection> {
public:
    /// End 0 connects, end 1 accepts.
    Connection(SimNetwork& network, SimNode& client, Address client_address, SimNode& server,
               Address server_address);

    // What a stream does with its end.
    void bind(std::size_t side, SimExecutor& executor);
    void set_events(std::size_t side, StreamEvents* events);
    void pause_reading(std::size_t side, bool paused);
    Result<std::size_t> read(std::size_t side, MutableBytes into);
    Result<std::size_t> write(std::size_t side, std::span<const iovec> parts);
    void close(std::size_t side);
    /// Bytes that write() would take now; nothing while on_writable is owed.
    std::size_t room(std::size_t side) const;

    // What happens to it.
    void fail(std::size_t side, Error why);
    void lose_power(std::size_t side);
    void path_changed();  ///< A partition healed, a machine is back: what is held goes out again.

    const SimNode& node(std::size_t side) const { return *ends_[side].node; }
    const Address& address(std::size_t side) const { return ends_[side].address; }
    bool is_open(std::size_t side) const { return !ends_[side].closed && !ends_[side].failure; }
    const SimExecutor* executor(std::size_t side) const { return ends_[side].executor; }

private:
    struct Segment {
        Buffer bytes;
        bool end = false;
        bool reset = false;
    };
    /// What arrived and was not read: appended behind, taken in front.
    class Inbox {
    public:
        std::size_t size() const { return bytes_.size() - taken_; }
        bool empty() const { return size() == 0; }
        void append(ByteView more);
        void take(MutableBytes into);  ///< Not more than there is.
        void clear();

    private:
        Buffer bytes_;
        std::size_t taken_ = 0;
    };
    struct End {
        SimNode* node = nullptr;
        std::uint64_t boot = 0;  ///< Of the kernel that knows this connection.
        Address address;
        // The program's hold.
        SimExecutor* executor = nullptr;
        StreamEvents* events = nullptr;
        std::uint64_t binding = 0;  ///< Grows whenever scheduled events must be forgotten.
        bool paused = false;
        bool readable_scheduled = false;
        bool writable_scheduled = false;
        bool write_blocked = false;  ///< on_writable is owed.
        // The kernel's memory.
        Inbox inbox;
        bool peer_ended = false;
        bool closed = false;
        std::optional<Error> failure;
        // Towards the other end.
        Instant last_arrival{0};
        std::size_t unread = 0;  ///< Sent, not yet read by the other.
        std::deque<Segment> held;
        std::uint64_t hold = 0;  ///< Counts the times that something was held.
    };

    static std::size_t other(std::size_t side) { return 1 - side; }
    void send(std::size_t from, Segment segment);
    void arrive(std::size_t from, Segment segment);
    void deliver(std::size_t from, Segment segment);
    void hold_back(std::size_t from, Segment segment);
    void send_again(std::size_t from);
    bool path_is_open(std::size_t from) const;
    void tell_readable(std::size_t side);
    void tell_writable(std::size_t side, Duration delay);
    Duration latency(std::size_t from);

    SimNetwork& network_;
    World& world_;
    End ends_[2];
};

}  // namespace millrace::runtime::sim
