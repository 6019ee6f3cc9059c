// net/internal/connection.h
//
// One accepted connection: cuts frames, keeps the order of answers, sends. Lives on one shard.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <variant>

#include "base/raw_buffer.h"
#include "net/server.h"

namespace millrace::net {

class ShardConnections;

class Connection final : public runtime::StreamEvents {
public:
    Connection(ShardConnections& owner, ConnectionInfo info, runtime::StreamPtr stream,
               ConnectionGate::Place place);
    ~Connection() override;

    void start();
    /// Reads nothing, and ends after the wait: who comes too often comes less often so.
    void turn_away(Duration wait);
    void on_readable() override;
    void on_writable() override;

    void deliver(std::uint64_t sequence, Response response);
    void flush();
    void check_deadlines(Instant now);
    /// Answers what is open, takes nothing new.
    void drain();
    void close(std::string_view reason, bool for_cause);
    void close(const Error& error);
    bool closed() const { return closed_; }
    const ConnectionInfo& info() const { return info_; }

private:
    using OutPart = std::variant<Buffer, FileRange>;
    /// A frame too large for the scratch, being filled.
    struct LargeFrame {
        std::shared_ptr<RawBuffer> bytes;
        std::size_t filled = 0;
        Reservation charge;
    };
    enum class Progress { continues, blocked, closed };

    void read_loop();
    void charge_pending();
    Progress read_large(Instant now, std::size_t& budget);
    Progress cut_frames(MutableBytes data, std::size_t& used);
    Progress begin_large(std::size_t frame_size, ByteView first_bytes);
    bool is_full() const;
    bool may_dispatch();
    void check_memory(Instant now);
    void count_out(std::int64_t change);
    void dispatch(Frame frame);
    void queue_ready();
    bool queue_response(Response response);
    Result<bool> write_some();
    void resume_soon();
    void note_progress();
    void end_turned_away();
    void mute(Duration time);
    void unmute();

    ShardConnections& owner_;
    ConnectionGate::Place place_;
    ConnectionInfo info_;
    runtime::StreamPtr stream_;
    std::unique_ptr<Session> session_;

    Buffer pending_;                    ///< Bytes received and not yet dispatched; empty when idle.
    std::int64_t pending_charged_ = 0;  ///< Of it, to the ledger.
    std::optional<LargeFrame> large_;
    std::deque<std::optional<Response>> answers_;  ///< One for each open request, in its order.
    std::uint64_t first_sequence_ = 0;             ///< Of answers_.front().

    std::deque<OutPart> out_;
    std::uint64_t out_bytes_ = 0;
    std::size_t out_done_ = 0;      ///< Bytes of out_.front() already sent.
    std::int64_t out_memory_ = 0;   ///< Of answers that have not left; what lies in files is none.
    std::int64_t out_charged_ = 0;  ///< Of it, to the ledger: in steps.

    bool closed_ = false;
    bool paused_ = false;
    bool draining_ = false;
    bool close_when_sent_ = false;
    bool awaiting_writable_ = false;
    bool any_request_ = false;
    Instant opened_{};
    Instant last_activity_{};
    std::optional<Instant> frame_began_;
    std::optional<Instant> muted_until_;  ///< Requests wait; answers go out.
    std::optional<Instant> output_stalled_;
};

}  // namespace millrace::net
