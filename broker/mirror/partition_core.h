// mirror/partition_core.h
//
// What one mirror partition does with what its source says: where to go on, what to take over, when
// to cut, to report a loss, to stop for a person. Pure; the shell executes the effects in order and
// asks again with the log's facts as they are then. The offset is the idempotency key: an answer
// about another position than the log's end changes nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "mirror/link.h"
#include "model/ids.h"
#include "model/kafka_error.h"
#include "replication/types.h"
#include "storage/leader_epoch_cache.h"

namespace millrace::mirror {

/// The facts of the mirror's own log, as they are now.
struct LogFacts {
    Offset start;
    Offset end;
    Offset high_watermark;
    LeaderEpoch leader_epoch;
    const storage::LeaderEpochCache* epochs = nullptr;
    Offset last_stable = no_offset;  ///< The first record of a transaction that is open.
    /// What lies right below the end was held against the source since we follow it. Two topics
    /// that were written apart may have the same epochs at the same offsets.
    bool is_known = true;
};

/// One partition's part of a fetch answer.
struct SourceFetched {
    Offset asked_from;
    KafkaError error = KafkaError::none;
    std::optional<replication::DivergingEpoch> diverging;
    Offset high_watermark = no_offset;
    Offset log_start = no_offset;
    std::size_t bytes = 0;
    Offset first_base = no_offset;  ///< Of the first batch, if one came whole.
    Offset first_end = no_offset;
    bool old_format = false;  ///< The first entry is a message of format 0 or 1.
};

enum class HaltReason {
    data_gap,
    topic_recreated,
    divergence,
    name_conflict,
    provenance_loop,
    unsupported_format,
    unauthorized,
};
std::string_view to_string(HaltReason reason);

/// Append the bytes that came; tell on_appended().
struct TakeOver {
    friend bool operator==(const TakeOver&, const TakeOver&) = default;
};
/// The source's log begins later: so does ours, never past what is committed here.
struct FollowStart {
    Offset to;
    friend bool operator==(const FollowStart&, const FollowStart&) = default;
};
/// Nothing of ours is left at the source (or we have nothing): go on there.
struct StartAt {
    Offset start;
    friend bool operator==(const StartAt&, const StartAt&) = default;
};
/// The histories differ from `end` on; ours gives way.
struct CutAt {
    Offset end;
    friend bool operator==(const CutAt&, const CutAt&) = default;
};
/// Hold what lies right below `end` against the source, byte for byte, before anything is cut
/// there: what differs is no common history, whatever the epochs say.
struct Verify {
    Offset end;
    friend bool operator==(const Verify&, const Verify&) = default;
};
/// It is the same: the log is known from now on.
struct Known {
    friend bool operator==(const Known&, const Known&) = default;
};
/// What we have of [from, to) is about to be cut: keep it beside the log first.
struct SetAside {
    Offset from;
    Offset to;
    friend bool operator==(const SetAside&, const SetAside&) = default;
};
/// Records that are lost to the mirror. To be remembered before what follows it is done.
struct Report {
    enum class Kind { gap, truncated };
    Kind kind;
    Offset from;
    Offset to;
    friend bool operator==(const Report&, const Report&) = default;
};
struct RaiseEpoch {
    LeaderEpoch to;
    friend bool operator==(const RaiseEpoch&, const RaiseEpoch&) = default;
};
/// Ask where the source's log begins and ends, then on_range().
struct AskRange {
    friend bool operator==(const AskRange&, const AskRange&) = default;
};
/// Ask where this epoch ended at the source, then on_epoch_end().
struct AskEpochEnd {
    LeaderEpoch epoch;
    friend bool operator==(const AskEpochEnd&, const AskEpochEnd&) = default;
};
/// The source's metadata has moved on: learn it before asking again.
struct RefreshSource {
    friend bool operator==(const RefreshSource&, const RefreshSource&) = default;
};
struct BackOff {
    KafkaError why;
    friend bool operator==(const BackOff&, const BackOff&) = default;
};
struct Halt {
    HaltReason reason;
    friend bool operator==(const Halt&, const Halt&) = default;
};

using PartitionEffect =
    std::variant<TakeOver, FollowStart, StartAt, CutAt, Verify, Known, SetAside, Report, RaiseEpoch,
                 AskRange, AskEpochEnd, RefreshSource, BackOff, Halt>;
using PartitionEffects = std::vector<PartitionEffect>;

struct PartitionPolicy {
    Offset begin{0};  ///< Of a mirror that leaves out what was there before it.
    Reaction on_gap = Reaction::go_on;
    Reaction on_divergence = Reaction::truncate;
    bool cut_open_transactions = false;  ///< At the seal; otherwise they are aborted.
    /// Both sides are known to be one topic: where nothing is in common, all of ours gives way.
    bool is_shared = false;
    friend bool operator==(const PartitionPolicy&, const PartitionPolicy&) = default;
};

class PartitionCore {
public:
    explicit PartitionCore(PartitionPolicy policy) : policy_(policy) {}

    /// What to send along, so that the source tells whether our logs agree.
    static LeaderEpoch last_epoch(const LogFacts& log);

    PartitionEffects on_fetched(const SourceFetched& fetched, const LogFacts& log) const;
    PartitionEffects on_appended(const replication::MirrorAppended& appended,
                                 const SourceFetched& fetched) const;
    PartitionEffects on_range(Offset start, Offset end, const LogFacts& log) const;
    /// `epoch` is the largest at the source not above the one asked for; no_offset: it has none.
    PartitionEffects on_epoch_end(LeaderEpoch asked, LeaderEpoch epoch, Offset end,
                                  const LogFacts& log) const;

    /// Before the mirrored history ends, once all of it is committed: what must give way for it.
    PartitionEffects on_seal(const LogFacts& log) const;

    /// The epoch that a promotion asks for: above all that the source wrote, with room to tell it
    /// from what a source that lives on may elect. `salt` is the link's: two mirrors of one source
    /// that are both promoted, and write different records at the same offsets, shall not write
    /// them in the same epoch.
    static LeaderEpoch promoted_epoch(LeaderEpoch local, LeaderEpoch last_source,
                                      std::uint32_t salt);

private:
    bool begins_later(const LogFacts& log) const;
    PartitionEffects diverged_at(Offset end, const LogFacts& log) const;

    PartitionPolicy policy_;
};

}  // namespace millrace::mirror
