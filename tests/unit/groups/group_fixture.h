// tests/unit/groups/group_fixture.h
//
// A group coordinator over a log in memory, with requests as one-liners. Every response is also
// encoded in the version that was asked for: a field which that version can't carry is a failure.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "groups/group_coordinator.h"
#include "protocol/messages/all.h"
#include "protocol/reader.h"
#include "protocol/writer.h"
#include "tests/support/manual_loop.h"
#include "tests/support/memory_log.h"

namespace millrace::groups {

/// Topics that a test makes, by name and partition count.
class TestTopics final : public TopicsView {
public:
    std::int64_t version() const override { return version_; }
    std::optional<TopicInfo> find(std::string_view name) const override {
        const auto found = topics_.find(std::string{name});
        return found == topics_.end() ? std::nullopt : std::optional{info(*found)};
    }
    std::optional<TopicInfo> find(const Uuid& id) const override {
        for (const auto& entry : topics_) {
            if (entry.second.id == id) {
                return info(entry);
            }
        }
        return std::nullopt;
    }
    void for_each(const std::function<void(const TopicInfo&)>& visit) const override {
        for (const auto& entry : topics_) {
            visit(info(entry));
        }
    }
    std::vector<std::string> racks(const Uuid&, std::int32_t) const override { return {}; }
    bool has_consumer_groups() const override { return consumer_groups; }

    bool consumer_groups = true;  ///< group.version 1

    void set(const std::string& name, std::int32_t partitions, std::uint64_t id) {
        topics_[name] = {Uuid{0, id}, partitions};
        ++version_;
    }
    void remove(const std::string& name) {
        topics_.erase(name);
        ++version_;
    }

private:
    struct Topic {
        Uuid id;
        std::int32_t partitions;
    };
    static TopicInfo info(const std::pair<const std::string, Topic>& entry) {
        return {entry.second.id, entry.first, entry.second.partitions};
    }
    std::map<std::string, Topic> topics_;
    std::int64_t version_ = 1;
};

/// What a request was answered, once it is.
template <typename T>
class Later {
public:
    bool ready() const { return state_->has_value(); }
    const T& operator*() const {
        EXPECT_TRUE(ready()) << "not answered";
        static const T nothing{};
        return ready() ? **state_ : nothing;
    }
    const T* operator->() const { return &**this; }
    void set(T value) const {
        EXPECT_FALSE(ready()) << "answered twice";
        *state_ = std::move(value);
    }

private:
    std::shared_ptr<std::optional<T>> state_ = std::make_shared<std::optional<T>>();
};

struct Joined {
    KafkaError error = KafkaError::unknown_server_error;
    std::int32_t generation = -2;
    std::string protocol;
    std::string leader;
    std::string member;
    bool skip = false;
    std::map<std::string, std::string> members;  ///< Metadata by id.
};
struct Synced {
    KafkaError error = KafkaError::unknown_server_error;
    std::string assignment;
};
struct Beat {  ///< ConsumerGroupHeartbeat.
    KafkaError error = KafkaError::unknown_server_error;
    std::string message;
    std::string member;
    std::int32_t epoch = -9;
    std::int32_t interval_ms = 0;
    std::optional<std::string> assignment;  ///< "orders:0,1 logs:2"
};

struct GroupTest : ::testing::Test {
    support::ManualLoop loop;
    support::MemoryTopic log_topic;
    support::MemoryLog log{loop, log_topic};
    SeededRandom random{7};
    GroupSettings settings;
    std::shared_ptr<TestTopics> topics = std::make_shared<TestTopics>();
    std::unique_ptr<GroupCoordinator> coordinator;
    std::int32_t leader_epoch = 0;
    static constexpr PartitionIndex p0{0};

    GroupTest() {
        topics->set("orders", 6, 1);
        topics->set("logs", 3, 2);
    }
    void SetUp() override { start(); }

    /// A new broker takes over: everything but the log is lost.
    void start() {
        coordinator = std::make_unique<GroupCoordinator>(loop, log, random, settings, Logger{});
        coordinator->set_partition_count(1);
        publish_topics();
        log_topic[p0].leader_epoch = LeaderEpoch{++leader_epoch};
        coordinator->elected(p0, LeaderEpoch{leader_epoch});
        loop.run_ready();
    }
    /// Topics are an immutable view: a change is a new one.
    void publish_topics(const std::vector<DeletedTopic>& deleted = {}) {
        topics = std::make_shared<TestTopics>(*topics);
        coordinator->topics_changed(topics, deleted);
        loop.run_ready();
    }
    void change(const GroupSettings& changed) {
        settings = changed;
        coordinator->settings_changed(settings);
    }

    template <typename Response>
    static void expect_encodes(const Response& response, std::int16_t version) {
        Buffer out;
        protocol::Writer writer{out};
        response.encode(writer, version);
        EXPECT_TRUE(writer.ok()) << writer.error().to_string() << " in version " << version;
    }
    static std::string text(ByteView bytes) { return std::string{as_text(bytes)}; }

    /// Sends a request and keeps what `keep` makes of its response.
    template <typename Kept, typename Response, typename Call, typename Keep>
    Later<Kept> ask(std::int16_t version, Call call, Keep keep) {
        Later<Kept> later;
        Caller caller{.version = version, .client_id = "client", .client_host = "/127.0.0.1"};
        call(caller, Reply<Response>{[later, keep, version](Response& response) {
                 expect_encodes(response, version);
                 later.set(keep(response));
             }});
        loop.run_ready();
        return later;
    }

    // The classic protocol.
    struct Join {
        std::string group = "g";
        std::string member;
        std::optional<std::string> instance;
        std::map<std::string, std::string> protocols = {{"range", "meta"}};
        std::int32_t session_ms = 10'000;
        std::int32_t rebalance_ms = 60'000;
        std::string type = "consumer";
        std::int16_t version = 9;
    };
    Later<Joined> join(const Join& join) {
        protocol::JoinGroupRequest request;
        request.group_id = join.group;
        request.member_id = join.member;
        request.group_instance_id = join.instance;
        request.protocol_type = join.type;
        request.session_timeout_ms = join.session_ms;
        request.rebalance_timeout_ms = join.rebalance_ms;
        for (const auto& [name, metadata] : join.protocols) {
            request.protocols.push_back({.name = name, .metadata = as_bytes(metadata)});
        }
        return ask<Joined, protocol::JoinGroupResponse>(
            join.version,
            [&](const Caller& caller, auto reply) {
                coordinator->join_group(request, caller, std::move(reply));
            },
            [](const protocol::JoinGroupResponse& response) {
                Joined out;
                out.error = static_cast<KafkaError>(response.error_code);
                out.generation = response.generation_id;
                out.protocol = std::string{response.protocol_name.value_or("(null)")};
                out.leader = std::string{response.leader};
                out.member = std::string{response.member_id};
                out.skip = response.skip_assignment;
                for (const auto& member : response.members) {
                    out.members[std::string{member.member_id}] = text(member.metadata);
                }
                return out;
            });
    }
    Later<Synced> sync(const std::string& member, std::int32_t generation,
                       const std::map<std::string, std::string>& assignments = {},
                       std::optional<std::string> instance = std::nullopt,
                       const std::string& group = "g") {
        protocol::SyncGroupRequest request;
        request.group_id = group;
        request.member_id = member;
        request.generation_id = generation;
        request.group_instance_id = instance;
        for (const auto& [id, assignment] : assignments) {
            request.assignments.push_back({.member_id = id, .assignment = as_bytes(assignment)});
        }
        return ask<Synced, protocol::SyncGroupResponse>(
            4,  // From 5 on a member has to say its protocol.
            [&](const Caller& caller, auto reply) {
                coordinator->sync_group(request, caller, std::move(reply));
            },
            [](const protocol::SyncGroupResponse& response) {
                return Synced{static_cast<KafkaError>(response.error_code),
                              text(response.assignment)};
            });
    }
    KafkaError heartbeat(const std::string& member, std::int32_t generation,
                         std::optional<std::string> instance = std::nullopt,
                         const std::string& group = "g") {
        protocol::HeartbeatRequest request;
        request.group_id = group;
        request.member_id = member;
        request.generation_id = generation;
        request.group_instance_id = instance;
        return *ask<KafkaError, protocol::HeartbeatResponse>(
            4,
            [&](const Caller& caller, auto reply) {
                coordinator->heartbeat(request, caller, std::move(reply));
            },
            [](const auto& response) { return static_cast<KafkaError>(response.error_code); });
    }
    struct Left {
        KafkaError error;
        std::vector<KafkaError> members;
    };
    Left leave(const std::vector<std::pair<std::string, std::optional<std::string>>>& members,
               std::int16_t version = 5, const std::string& group = "g") {
        protocol::LeaveGroupRequest request;
        request.group_id = group;
        for (const auto& [id, instance] : members) {
            if (version < 3) {
                request.member_id = id;
            } else {
                request.members.push_back({.member_id = id, .group_instance_id = instance});
            }
        }
        return *ask<Left, protocol::LeaveGroupResponse>(
            version,
            [&](const Caller& caller, auto reply) {
                coordinator->leave_group(request, caller, std::move(reply));
            },
            [](const protocol::LeaveGroupResponse& response) {
                Left out{static_cast<KafkaError>(response.error_code), {}};
                for (const auto& member : response.members) {
                    out.members.push_back(static_cast<KafkaError>(member.error_code));
                }
                return out;
            });
    }

    // The consumer protocol.
    struct Heartbeat {
        std::string group = "g";
        std::string member = "m1";
        std::int32_t epoch = 0;
        std::optional<std::string> instance;
        std::optional<std::vector<std::string>> topics;
        std::optional<std::string> regex;
        std::optional<std::string> assignor;
        std::optional<std::string> owned;  ///< "orders:0,1"; joining says "".
        std::int32_t rebalance_ms = -1;
        std::int16_t version = 1;
        std::function<bool(std::string_view)> may_describe;
    };
    Later<Beat> beat(const Heartbeat& heartbeat);
    /// The first heartbeat of a member.
    Later<Beat> enter(const std::string& member, std::vector<std::string> names = {"orders"},
                      std::optional<std::string> instance = std::nullopt) {
        return beat({.member = member,
                     .epoch = 0,
                     .instance = instance,
                     .topics = names,
                     .owned = "",
                     .rebalance_ms = 60'000});
    }
    /// A heartbeat that says only what the member holds.
    Later<Beat> hold(const std::string& member, std::int32_t epoch, const std::string& owned) {
        return beat({.member = member, .epoch = epoch, .owned = owned});
    }

    // Offsets.
    struct Commit {
        std::string group = "g";
        std::string member;
        std::int32_t generation = -1;
        std::optional<std::string> instance;
        std::string topic = "orders";
        std::int32_t partition = 0;
        std::int64_t offset = 0;
        std::string metadata;
        std::int64_t retention_ms = -1;
        std::int16_t version = 9;
        Uuid topic_id;
    };
    Later<KafkaError> commit_later(const Commit& commit);
    KafkaError commit(const Commit& commit_) { return *commit_later(commit_); }
    KafkaError commit_in_transaction(const Commit& commit, std::int64_t producer);
    KafkaError end_transaction(std::int64_t producer, coordinator::TransactionResult result);
    struct Fetched {
        KafkaError group_error = KafkaError::unknown_server_error;
        KafkaError error = KafkaError::unknown_server_error;  ///< Of the partition.
        std::int64_t offset = -9;
        std::string metadata;
    };
    struct Fetch {
        std::string group = "g";
        std::string topic = "orders";
        std::int32_t partition = 0;
        std::optional<std::string> member;
        std::int32_t epoch = -1;
        bool stable = false;
        std::int16_t version = 9;
        Uuid topic_id;
    };
    Later<Fetched> fetch_later(const Fetch& fetch);
    Fetched fetch(const Fetch& fetch) { return *fetch_later(fetch); }
    std::int64_t offset(const std::string& topic = "orders", std::int32_t partition = 0,
                        const std::string& group = "g") {
        return fetch({.group = group, .topic = topic, .partition = partition}).offset;
    }
    /// All offsets of a group: "orders-0=5 orders-1=7".
    std::string offsets(const std::string& group = "g", std::int16_t version = 9);
    std::string delete_offsets(const std::string& topic, std::vector<std::int32_t> partitions,
                               const std::string& group = "g");

    // Looking.
    std::string describe(const std::string& group = "g", std::int16_t version = 6);
    std::string describe_consumer(const std::string& group = "g");
    std::string list(std::vector<std::string> states = {}, std::vector<std::string> types = {});
    KafkaError delete_group(const std::string& group = "g");
    std::string state(const std::string& group = "g") {
        const auto lag =
            coordinator->lag(group, [](const TopicPartition&) { return std::optional<Offset>{}; });
        return lag ? lag->state : "gone";
    }

    // What consumers of the classic protocol tell each other.
    static std::string subscription(
        std::vector<std::string> topics,
        const std::map<std::string, std::vector<std::int32_t>>& owned = {});
    static std::string assignment(const std::map<std::string, std::vector<std::int32_t>>& assigned);
    /// "orders:0,1", of such an assignment.
    static std::string read_assignment(const std::string& bytes);

    // Words that tests use.
    /// Joins and, where an id is required first, joins again with it.
    Later<Joined> enter_classic(Join wanted) {
        if (wanted.member.empty() && !wanted.instance && wanted.version >= 4) {
            wanted.member = join(wanted)->member;
        }
        return join(wanted);
    }
    /// A stable group of that many members; their ids, leader first.
    std::vector<std::string> stable_group(int members);
    std::vector<std::string> stable_group(int members, const Join& prototype);
};

}  // namespace millrace::groups
