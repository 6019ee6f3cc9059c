// handlers/doors.h
//
// What the handlers may ask, filled in by app. One object per broker; everything in it outlives the
// listeners. Members say from which loop they may be used.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "config/config.h"
#include "groups/group_coordinator.h"
#include "handlers/topic_book.h"
#include "metadata/publisher.h"
#include "model/ids.h"
#include "model/kafka_error.h"
#include "protocol/request_body.h"
#include "quotas/client_quotas.h"
#include "replication/replicas.h"
#include "runtime/node.h"

namespace millrace::handlers {

/// The controller, wherever it is. From any loop; `done` runs on the loop that `home` names.
class ControllerDoor {
public:
    struct Answer {
        std::int16_t version = 0;
        Buffer body;
    };
    virtual ~ControllerDoor() = default;
    /// A request body of `api_key` in `version`. Code::not_leader or unavailable: no controller
    /// could be reached in time and nothing is known to have happened.
    virtual void forward(std::int16_t api_key, std::int16_t version, Buffer body,
                         const Principal& principal, runtime::Executor& home,
                         UniqueFunction<void(Result<Answer>)> done) = 0;
    /// Node id of the active controller as this broker knows it; no_broker if none.
    virtual BrokerId active() const = 0;
};

/// Producer ids for InitProducerId without a transactional id. From any loop.
class ProducerIds {
public:
    virtual ~ProducerIds() = default;
    virtual void next(runtime::Executor& home, UniqueFunction<void(Result<ProducerId>)> done) = 0;
};

/// Where a voter of the metadata quorum is reached.
struct VoterAddress {
    BrokerId id;
    std::string host;
    std::int32_t port = 0;
};

/// The metadata quorum: its own requests (raft APIs) and who it is, on the control loop.
class QuorumDoor {
public:
    virtual ~QuorumDoor() = default;
    virtual void handle(std::int16_t api_key, std::int16_t version,
                        const protocol::RequestBody& body,
                        UniqueFunction<void(Result<Buffer>)> reply) = 0;
    /// On their listener of that name; a voter without one is left out.
    virtual std::vector<VoterAddress> voters(std::string_view listener) const = 0;
    virtual BrokerId leader() const = 0;
    /// From any loop.
    virtual std::int16_t kraft_version() const = 0;
};

/// One of the broker's log directories, as it is now.
struct LogDirectoryView {
    std::string path;
    KafkaError error = KafkaError::none;
    std::int64_t total_bytes = -1;
    std::int64_t usable_bytes = -1;
    bool is_cordoned = false;
};

class FetchSessions;

struct Doors {
    BrokerId self;
    std::string cluster_id;
    bool is_broker = true;
    const metadata::ImageHandle* image = nullptr;
    const TopicBookHandle* topics = nullptr;  ///< Topic rules, and the configuration in force.
    const replication::Replicas* replicas = nullptr;
    runtime::Executor* control = nullptr;
    std::int32_t fetch_max_bytes = 0;  ///< In one answer, whatever the reader asks.
    bool fetch_by_rack = false;        ///< A consumer is sent to a replica in its rack (KIP-392).
    quotas::ClientQuotas* quotas = nullptr;
    /// One per loop that serves connections, each only on its own loop.
    std::vector<FetchSessions>* fetch_sessions = nullptr;
    /// Only on the control loop.
    groups::GroupCoordinator* groups = nullptr;
    ControllerDoor* controller = nullptr;
    ProducerIds* producer_ids = nullptr;
    QuorumDoor* quorum = nullptr;
    /// From any loop.
    std::function<std::vector<LogDirectoryView>()> log_directories;
    /// A replica that this broker hasn't got yet is to lie there when it comes. From any loop.
    std::function<void(const TopicPartition& partition, const std::string& path)> wish_directory;
    /// Whether this broker could work with changed settings of its own (no value: removed): some
    /// name files that only it has. `done` runs on the control loop. May be empty.
    using SettingChanges = std::map<std::string, std::optional<std::string>>;
    std::function<void(SettingChanges changes, UniqueFunction<void(Result<void>)> done)>
        judge_own_settings;
    /// `done` once this broker works with changes that the controller has recorded, or after a
    /// while anyway; on the control loop.
    std::function<void(SettingChanges changes, UniqueFunction<void()> done)> when_own_settings_work;
    const Logger* log = nullptr;
};

}  // namespace millrace::handlers
