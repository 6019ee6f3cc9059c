// mirror/internal/source_session.h
//
// The reader's side of an incremental fetch session (KIP-227): a request names only what changed
// since the last one, so that ten thousand quiet partitions cost nothing beside one that is not.
// Pure. A source that offers no sessions is asked for everything each time.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/uuid.h"
#include "model/ids.h"
#include "model/kafka_error.h"

namespace millrace::mirror {

/// Where to go on with one partition of the source.
struct SourcePosition {
    LeaderEpoch source_epoch;
    Offset from;
    LeaderEpoch last_epoch;
    std::uint64_t generation = 0;  ///< Another one wants to be answered even if nothing is new.
    friend bool operator==(const SourcePosition&, const SourcePosition&) = default;
};

using SourcePlace = std::pair<std::string, std::int32_t>;  ///< Topic and partition there.

struct SourceTopic {
    Uuid id;
    std::map<std::int32_t, SourcePosition> partitions;
    friend bool operator==(const SourceTopic&, const SourceTopic&) = default;
};
using SourcePositions = std::map<std::string, SourceTopic>;

class SourceSession {
public:
    struct Request {
        std::int32_t session_id = 0;
        std::int32_t session_epoch = 0;
        SourcePositions ask;  ///< What changed; all of it in the first request of a session.
        std::map<std::string, std::pair<Uuid, std::vector<std::int32_t>>> forget;
    };

    /// For everything in `wanted` and nothing else.
    Request next(const SourcePositions& wanted) const;
    /// The request for `wanted` was answered without an error.
    void answered(std::int32_t session_id, SourcePositions wanted);
    /// It failed: the next one begins anew, and ends what the source may still have.
    void failed();

    /// Whether the error is about the session alone: ask again at once.
    static bool is_about_session(KafkaError error);

private:
    std::int32_t id_ = 0;
    std::int32_t epoch_ = 0;  ///< Of the next request; 0: everything.
    SourcePositions known_;
};

}  // namespace millrace::mirror
