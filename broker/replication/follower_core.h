// replication/follower_core.h
//
// What a follower does with what its leader sends: where to fetch next, whether to cut its log
// first, how far the high watermark may go. Pure. The shell executes the effects in order and tells
// what came of them.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "model/ids.h"
#include "model/kafka_error.h"
#include "replication/types.h"
#include "storage/leader_epoch_cache.h"

namespace millrace::replication {

/// One partition's part of a fetch response.
struct Fetched {
    LeaderEpoch asked_in_epoch;  ///< The leader epoch that the request was sent under.
    Offset asked_from;
    KafkaError error = KafkaError::none;
    std::optional<DivergingEpoch> diverging;
    Offset high_watermark = no_offset;
    Offset log_start = no_offset;
    std::size_t bytes = 0;
};

/// Cut the log at `end`; it and the leader's differ from there on.
struct TruncateTo {
    Offset end;
    friend bool operator==(const TruncateTo&, const TruncateTo&) = default;
};
/// Everything we have lies outside the leader's log: start over there.
struct StartOverAt {
    Offset start;
    friend bool operator==(const StartOverAt&, const StartOverAt&) = default;
};
/// Append the bytes that came with the response.
struct AppendFetched {
    friend bool operator==(const AppendFetched&, const AppendFetched&) = default;
};
struct AdvanceStart {
    Offset to;
    friend bool operator==(const AdvanceStart&, const AdvanceStart&) = default;
};
/// Ask the leader where its log begins and ends, then tell on_leader_range().
struct AskLeaderRange {
    friend bool operator==(const AskLeaderRange&, const AskLeaderRange&) = default;
};
/// Nothing will come of asking again soon: wait for the metadata, or a moment.
struct BackOff {
    KafkaError why;
    friend bool operator==(const BackOff&, const BackOff&) = default;
};

using FollowerEffect =
    std::variant<TruncateTo, StartOverAt, AppendFetched, AdvanceStart, AskLeaderRange, BackOff>;

/// The facts of the log that decisions rest on, as they are now.
struct LogFacts {
    Offset start;
    Offset end;
    const storage::LeaderEpochCache* epochs = nullptr;
};

class FollowerCore {
public:
    FollowerCore(LeaderEpoch epoch, Offset high_watermark)
        : epoch_(epoch), high_watermark_(high_watermark) {}

    /// In order. AppendFetched is followed by on_appended().
    std::vector<FollowerEffect> on_fetched(const Fetched& fetched, const LogFacts& log);
    std::vector<FollowerEffect> on_leader_range(Offset start, Offset end, const LogFacts& log);
    /// After the effects: the high watermark follows the leader's, never past what we have.
    void on_log_end(Offset end);

    LeaderEpoch epoch() const { return epoch_; }
    Offset high_watermark() const { return high_watermark_; }
    /// As last told, however far we are.
    Offset leader_high_watermark() const { return leader_high_watermark_; }
    /// To send along, so that the leader can tell whether our logs agree.
    static LeaderEpoch last_fetched_epoch(const LogFacts& log);

private:
    Offset diverging_end(const DivergingEpoch& diverging, const LogFacts& log) const;

    LeaderEpoch epoch_;
    Offset high_watermark_;
    Offset leader_high_watermark_ = no_offset;
};

}  // namespace millrace::replication
