// mirror/drain_core.h
//
// Whether a mirror has all that its source will ever have, so that a planned promotion loses
// nothing. A source of ours says itself when it is closed; of any other one can only see that its
// end stands still. One topic; pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "base/uuid.h"
#include "model/ids.h"

namespace millrace::mirror {

/// Where a log ends, and the latest epoch that it knows of; of a closed one, that of its last
/// batch.
struct LogEnd {
    Offset offset = no_offset;
    LeaderEpoch epoch = no_leader_epoch;
    friend bool operator==(const LogEnd&, const LogEnd&) = default;
};

struct TopicEnds {
    Uuid id;  ///< Zero from brokers before 2.8.
    std::vector<LogEnd> partitions;
    /// Every leader has said that no client's record will come after this end, and that these are
    /// all partitions.
    bool is_closed = false;
    /// A leader has said that records may still come after its end, or that there are more
    /// partitions: it has not applied the fence yet.
    bool is_open = false;
    friend bool operator==(const TopicEnds&, const TopicEnds&) = default;
};

class DrainCore {
public:
    DrainCore() = default;
    explicit DrainCore(Uuid source_topic) : source_topic_(source_topic) {}

    /// The source has answered: it takes no more writes, or knows no such thing.
    void on_fence(bool is_fenced, std::string why_not);
    /// The source goes on: nobody takes its topic over. What it has when it is first asked is to be
    /// here.
    void on_no_fence_wished();
    bool is_asked_for() const { return is_answered_; }
    bool is_copying() const { return is_fenced_; }

    /// Both sides as they are now, in any order: neither goes back. True once nothing is missing
    /// here and nothing more will come. `standstill`: how long a source that can't be fenced has to
    /// stand still.
    bool on_ends(const TopicEnds& theirs, const TopicEnds& ours, Instant now, Duration standstill);

    /// What it waits for, for people.
    std::string waits_for(const std::string& topic, Duration standstill) const;

private:
    bool has_all(const TopicEnds& theirs, const TopicEnds& ours);

    Uuid source_topic_;  ///< That is mirrored; zero: not known.
    bool is_answered_ = false;
    bool is_fenced_ = false;
    bool is_closed_ = false;
    bool goes_on_ = false;
    std::optional<TopicEnds> target_;    ///< Of a source that goes on.
    std::optional<Instant> open_since_;  ///< Fenced, and a leader that does not know it yet.
    std::string why_not_;
    std::vector<LogEnd> seen_;
    Instant still_since_{};
    std::int64_t missing_ = -1;  ///< Records; -1: nobody has looked yet.
};

}  // namespace millrace::mirror
