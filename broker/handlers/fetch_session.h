// handlers/fetch_session.h
//
// Incremental fetch sessions (KIP-227): the broker remembers what a reader asked and what it was
// told, so that a request names only what changed and an answer holds only what is new. Pure but
// for the drawing of ids: time is an input. One FetchSessions per loop, touched only there; a
// reader that comes back on another loop is told "not found" and starts over, as Kafka's clients do
// after every restart of a broker.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "base/uuid.h"
#include "model/ids.h"
#include "model/kafka_error.h"

namespace millrace::handlers {

/// One partition as a reader asks for it.
struct FetchAsk {
    std::string topic;  ///< By id: the name it had when first seen, empty if it had none.
    Uuid topic_id;      ///< Zero in versions that ask by name.
    std::int32_t partition = 0;
    Offset from{0};
    LeaderEpoch current_epoch = no_leader_epoch;
    LeaderEpoch last_fetched_epoch = no_leader_epoch;
    std::int32_t max_bytes = 0;
    Offset reader_log_start = no_offset;
    std::optional<Offset> reader_synced_end;
};

/// What a reader is told of one partition, as far as a session compares it.
struct FetchTold {
    KafkaError error = KafkaError::none;
    Offset high_watermark = no_offset;
    Offset log_start = no_offset;
    bool has_records = false;
    bool is_diverging = false;
    bool is_sent_on = false;  ///< To another replica.
};

class FetchSession {
public:
    FetchSession(std::int32_t id, bool by_id, bool is_follower, Instant now)
        : id_(id), by_id_(by_id), is_follower_(is_follower), created_(now), used_(now) {}

    std::int32_t id() const { return id_; }
    bool by_id() const { return by_id_; }
    std::size_t size() const { return partitions_.size(); }

    bool knows(const FetchAsk& ask) const;
    /// Adds the partition, or takes over its new position.
    void ask(FetchAsk ask);
    void forget(const std::string& topic, const Uuid& topic_id, std::int32_t partition);
    /// Everything that the reader wants, in the order in which it is due: what was served last
    /// comes last.
    std::vector<FetchAsk> asks() const;
    /// Whether the reader must hear of this partition now, and remembers that it does.
    bool tell(const FetchAsk& ask, const FetchTold& told);

private:
    friend class FetchSessions;
    struct Partition {
        FetchAsk ask;
        Offset high_watermark = no_offset;
        Offset log_start = no_offset;
    };
    struct Key {
        std::string_view topic;  ///< Into the partition it leads to; empty where an id says it.
        Uuid topic_id;
        std::int32_t partition = 0;
        friend bool operator==(const Key&, const Key&) = default;
    };
    struct KeyHash {
        std::size_t operator()(const Key& key) const noexcept;
    };
    static Key key_of(std::string_view topic, const Uuid& topic_id, std::int32_t partition);

    std::int32_t id_;
    bool by_id_;
    bool is_follower_;
    Instant created_;
    Instant used_;
    std::int32_t epoch_ = 1;  ///< Of the next request.
    std::list<Partition> partitions_;
    std::unordered_map<Key, std::list<Partition>::iterator, KeyHash> by_key_;
};

/// A reader's wish in the words of a request, after the session rules were applied.
struct FetchPlan {
    KafkaError error = KafkaError::none;    ///< Answered at once, with nothing else.
    std::vector<FetchAsk> asks;             ///< All partitions to look at.
    std::shared_ptr<FetchSession> session;  ///< Incremental: the answer is what it tells.
    bool wants_session = false;             ///< Full: offer one with the answer.
};

class FetchSessions {
public:
    struct Limits {
        std::size_t slots = 1000;            ///< max.incremental.fetch.session.cache.slots
        Duration eviction = 2min;            ///< A session that was used since gives way to none.
        std::size_t partitions = 1'000'000;  ///< Of all sessions: each takes about a quarter KiB.
    };
    struct Request {
        std::int32_t session_id = 0;
        std::int32_t session_epoch = -1;
        bool by_id = false;
        std::vector<FetchAsk> asks;
        std::vector<FetchAsk> forgotten;  ///< Only topic and partition count.
    };

    FetchSessions(Limits limits, Random& random) : limits_(limits), random_(random) {}

    FetchPlan open(Request request, Instant now);
    /// The session for a full request's answer; null when there is no room for it.
    std::shared_ptr<FetchSession> create(bool is_follower, bool by_id, std::size_t partitions,
                                         Instant now);

    std::size_t size() const { return sessions_.size(); }

private:
    bool make_room(bool is_follower, Instant now);
    bool has_room(std::size_t more) const;

    Limits limits_;
    Random& random_;
    std::unordered_map<std::int32_t, std::shared_ptr<FetchSession>> sessions_;
};

}  // namespace millrace::handlers
