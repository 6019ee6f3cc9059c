#include "sim_world.h"

#include <cstdlib>

#include "protocol/messages/all.h"
#include "record/batch_builder.h"
#include "record/record_view.h"

namespace millrace::groups::sim {

namespace {

constexpr PartitionIndex p0{0};

using protocol::ConsumerGroupHeartbeatRequest;
using protocol::ConsumerGroupHeartbeatResponse;

class Printer final : public LogSink {
public:
    void write(Level, std::string_view event, std::initializer_list<Field> fields) override {
        fmt::print(stderr, "         {}", event);
        for (const Field& field : fields) {
            fmt::print(stderr, " {}={}", field.name, field.value);
        }
        fmt::print(stderr, "\n");
    }
};

std::string bytes_of_subscription(const std::set<Partition>& owned) {
    protocol::ConsumerProtocolSubscription message;
    message.topics = {"orders"};
    if (!owned.empty()) {
        message.owned_partitions.push_back(
            {.topic = "orders", .partitions = {owned.begin(), owned.end()}});
    }
    Buffer out;
    protocol::Writer writer{out};
    writer.int16(1);
    message.encode(writer, 1);
    return std::string{as_text(out)};
}

std::string bytes_of_assignment(const std::vector<Partition>& partitions) {
    protocol::ConsumerProtocolAssignment message;
    message.assigned_partitions.push_back({.topic = "orders", .partitions = partitions});
    Buffer out;
    protocol::Writer writer{out};
    writer.int16(1);
    message.encode(writer, 1);
    return std::string{as_text(out)};
}

std::set<Partition> partitions_of(ByteView assignment) {
    std::set<Partition> out;
    if (assignment.empty()) {
        return out;
    }
    protocol::Reader reader{assignment};
    protocol::ConsumerProtocolAssignment message;
    message.decode(reader, reader.int16());
    EXPECT_TRUE(reader.ok());
    for (const auto& topic : message.assigned_partitions) {
        out.insert(topic.partitions.begin(), topic.partitions.end());
    }
    return out;
}

}  // namespace

void Client::take(Partition partition) {
    if (owned_.insert(partition).second) {
        ++world_.assignments;
        world_.note("{} takes {}", name_, partition);
        world_.check_sole_owner(*this, partition);
        // Where the group left off.
        protocol::OffsetFetchRequest request;
        auto& group = request.groups.emplace_back();
        group.group_id = "g";
        group.topics->push_back({.name = "orders", .partition_indexes = {partition}});
        const std::int64_t floor = world_.acknowledged.try_emplace(partition, -1).first->second;
        ++world_.open_requests;
        position_.erase(partition);
        world_.coordinator->offset_fetch(
            request, Caller{.version = 9},
            [this, partition, floor,
             claim = ++claims_[partition]](protocol::OffsetFetchResponse& response) {
                --world_.open_requests;
                const auto& group = response.groups.at(0);
                if (group.error_code != 0) {
                    return;
                }
                const std::int64_t offset = group.topics.at(0).partitions.at(0).committed_offset;
                EXPECT_GE(offset, floor) << "an acknowledged commit is gone";
                if (claim == claims_[partition] && owned_.contains(partition)) {
                    position_[partition] = std::max<std::int64_t>(offset, 0);
                }
            });
    }
}

void Client::commit(const std::string& member, std::int32_t epoch) {
    if (owned_.empty()) {
        return;
    }
    auto it = owned_.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(world_.random.below(owned_.size())));
    const Partition partition = *it;
    if (!position_.contains(partition)) {
        return;  // Still asking where to begin.
    }
    const std::int64_t next = ++position_[partition];
    protocol::OffsetCommitRequest request;
    request.group_id = "g";
    request.member_id = member;
    request.generation_id_or_member_epoch = epoch;
    auto& topic = request.topics.emplace_back();
    topic.name = "orders";
    topic.partitions.push_back({.partition_index = partition, .committed_offset = next});
    ++world_.open_requests;
    world_.coordinator->offset_commit(
        request, Caller{.version = 9},
        [this, partition, next](protocol::OffsetCommitResponse& response) {
            --world_.open_requests;
            if (response.topics.at(0).partitions.at(0).error_code == 0) {
                ++world_.commits;
                std::int64_t& acknowledged =
                    world_.acknowledged.try_emplace(partition, -1).first->second;
                EXPECT_GE(next, acknowledged) << "somebody who lost the partition committed";
                acknowledged = std::max(acknowledged, next);
            }
        });
}

/// KIP-848's client: one heartbeat at a time, gives up first, then takes.
class ConsumerClient final : public Client {
public:
    using Client::Client;

    Duration grace() const override { return 45s; }
    void act() override {
        if (!up_ || busy_) {
            return;
        }
        if (epoch_ > 0 && world_.random.one_in(3)) {
            commit(member_, epoch_);
            return;
        }
        beat();
    }
    void crash() override {
        reset();
        up_ = false;
    }
    void leave() override {
        if (up_ && !member_.empty() && epoch_ > 0) {
            ConsumerGroupHeartbeatRequest request = blank();
            request.member_epoch = leave_epoch_;
            owned_.clear();  // A consumer gives up everything before it says goodbye.
            ++world_.open_requests;
            world_.coordinator->consumer_group_heartbeat(
                request, Caller{.version = 1},
                [this](ConsumerGroupHeartbeatResponse&) { --world_.open_requests; });
        }
        crash();
    }

private:
    static constexpr std::int32_t leave_epoch_ = -1;

    ConsumerGroupHeartbeatRequest blank() const {
        ConsumerGroupHeartbeatRequest request;
        request.group_id = "g";
        request.member_id = member_;
        request.member_epoch = epoch_;
        request.instance_id = std::nullopt;
        request.rack_id = std::nullopt;
        request.server_assignor = std::nullopt;
        return request;
    }

    void beat() {
        if (member_.empty()) {
            member_ = fmt::format("{}-{}", name_, incarnation_);
        }
        ConsumerGroupHeartbeatRequest request = blank();
        if (epoch_ == 0 || missed_answer_) {  // Says everything, so that it hears everything.
            request.rebalance_timeout_ms = 30'000;
            request.subscribed_topic_names.emplace({std::string_view{"orders"}});
        }
        // What it was told to give up it gives up some time later, and only then says so.
        if (target_ && world_.random.one_in(2)) {
            for (auto it = owned_.begin(); it != owned_.end();) {
                it = target_->contains(*it) ? std::next(it) : owned_.erase(it);
            }
        }
        request.topic_partitions.emplace();
        if (!owned_.empty()) {
            request.topic_partitions->push_back(
                {.topic_id = Uuid{0, 1}, .partitions = {owned_.begin(), owned_.end()}});
        }
        busy_ = true;
        ++world_.open_requests;
        world_.coordinator->consumer_group_heartbeat(
            request, Caller{.version = 1},
            [this, incarnation = incarnation_,
             sent = world_.loop.now()](ConsumerGroupHeartbeatResponse& response) {
                --world_.open_requests;
                if (incarnation == incarnation_) {
                    busy_ = false;
                    if (response.error_code == 0) {
                        last_heard_ = sent;
                    }
                    on_answer(response);
                }
            });
    }

    void on_answer(const ConsumerGroupHeartbeatResponse& response) {
        world_.note("{} beat {} epoch {}", name_,
                    to_string(static_cast<KafkaError>(response.error_code)), response.member_epoch);
        missed_answer_ = response.error_code != 0;
        switch (static_cast<KafkaError>(response.error_code)) {
            case KafkaError::none:
                break;
            case KafkaError::fenced_member_epoch:
            case KafkaError::unknown_member_id:
            case KafkaError::group_id_not_found:
                owned_.clear();  // Abandon everything and come again.
                target_.reset();
                epoch_ = 0;
                return;
            default:
                return;  // Try again.
        }
        epoch_ = response.member_epoch;
        if (response.assignment) {
            target_.emplace();
            for (const auto& topic : response.assignment->topic_partitions) {
                target_->insert(topic.partitions.begin(), topic.partitions.end());
            }
        }
        for (const Partition partition : target_.value_or(std::set<Partition>{})) {
            take(partition);
        }
    }

    void reset() {
        ++incarnation_;
        busy_ = false;
        member_.clear();
        epoch_ = 0;
        owned_.clear();
        target_.reset();
        position_.clear();
    }

    std::string member_;
    std::int32_t epoch_ = 0;
    std::optional<std::set<Partition>> target_;
    bool missed_answer_ = false;
    bool busy_ = false;
};

/// The classic consumer with an eager assignor: gives up everything to rejoin.
class ClassicClient final : public Client {
public:
    using Client::Client;

    Duration grace() const override { return 10s; }
    void act() override {
        if (!up_ || busy_) {
            return;
        }
        if (!joined_) {
            join();
        } else if (!synced_) {
            sync();
        } else if (world_.random.one_in(3)) {
            commit(member_, generation_);
        } else {
            heartbeat();
        }
    }
    void crash() override {
        ++incarnation_;
        busy_ = false;
        member_.clear();
        lose();
        up_ = false;
    }
    void leave() override {
        if (up_ && !member_.empty() && !busy_) {
            protocol::LeaveGroupRequest request;
            request.group_id = "g";
            request.members.push_back({.member_id = member_});
            owned_.clear();
            ++world_.open_requests;
            world_.coordinator->leave_group(
                request, Caller{.version = 5},
                [this](protocol::LeaveGroupResponse&) { --world_.open_requests; });
        }
        crash();
    }

private:
    void lose() {
        owned_.clear();
        position_.clear();
        joined_ = synced_ = false;
        to_assign_.clear();
    }

    template <typename Response, typename F>
    Reply<Response> expecting(F then) {
        busy_ = true;
        ++world_.open_requests;
        return
            [this, then, incarnation = incarnation_, sent = world_.loop.now()](Response& response) {
                --world_.open_requests;
                if (incarnation == incarnation_) {
                    busy_ = false;
                    if (response.error_code == 0) {
                        last_heard_ = sent;
                    }
                    then(response, static_cast<KafkaError>(response.error_code));
                }
            };
    }

    void join() {
        const std::string metadata = bytes_of_subscription(owned_);
        owned_.clear();  // Eager.
        protocol::JoinGroupRequest request;
        request.group_id = "g";
        request.member_id = member_;
        request.protocol_type = "consumer";
        request.session_timeout_ms = 10'000;
        request.rebalance_timeout_ms = 20'000;
        request.protocols.push_back({.name = "range", .metadata = as_bytes(metadata)});
        auto reply = expecting<protocol::JoinGroupResponse>(
            [this](const protocol::JoinGroupResponse& response, KafkaError error) {
                world_.note("{} joined {} {} generation {}", name_, to_string(error),
                            response.member_id, response.generation_id);
                if (error == KafkaError::member_id_required) {
                    member_ = std::string{response.member_id};
                    return;
                }
                if (error != KafkaError::none) {
                    if (error == KafkaError::unknown_member_id ||
                        error == KafkaError::fenced_instance_id) {
                        member_.clear();
                    }
                    return;
                }
                member_ = std::string{response.member_id};
                generation_ = response.generation_id;
                joined_ = true;
                synced_ = false;
                to_assign_.clear();
                for (const auto& member : response.members) {
                    to_assign_.emplace_back(member.member_id);
                }
            });
        world_.coordinator->join_group(request, Caller{.version = 9, .client_id = name_},
                                       std::move(reply));
    }

    void sync() {
        protocol::SyncGroupRequest request;
        request.group_id = "g";
        request.member_id = member_;
        request.generation_id = generation_;
        std::vector<std::string> assignments;
        for (std::size_t i = 0; i < to_assign_.size(); ++i) {
            std::vector<Partition> mine;
            for (Partition p = 0; p < world_.partitions; ++p) {
                if (static_cast<std::size_t>(p) % to_assign_.size() == i) {
                    mine.push_back(p);
                }
            }
            assignments.push_back(bytes_of_assignment(mine));
        }
        for (std::size_t i = 0; i < to_assign_.size(); ++i) {
            request.assignments.push_back(
                {.member_id = to_assign_[i], .assignment = as_bytes(assignments[i])});
        }
        auto reply = expecting<protocol::SyncGroupResponse>(
            [this](const protocol::SyncGroupResponse& response, KafkaError error) {
                world_.note("{} synced {} {}", name_, to_string(error),
                            fmt::join(partitions_of(response.assignment), ","));
                if (error != KafkaError::none) {
                    on_error(error);
                    return;
                }
                synced_ = true;
                for (const Partition partition : partitions_of(response.assignment)) {
                    take(partition);
                }
            });
        world_.coordinator->sync_group(request, Caller{.version = 4}, std::move(reply));
    }

    void heartbeat() {
        protocol::HeartbeatRequest request;
        request.group_id = "g";
        request.member_id = member_;
        request.generation_id = generation_;
        auto reply = expecting<protocol::HeartbeatResponse>(
            [this](const protocol::HeartbeatResponse&, KafkaError error) {
                world_.note("{} heartbeat {}", name_, to_string(error));
                if (error == KafkaError::none) {
                } else {
                    on_error(error);
                }
            });
        world_.coordinator->heartbeat(request, Caller{.version = 4}, std::move(reply));
    }

    void on_error(KafkaError error) {
        switch (error) {
            case KafkaError::unknown_member_id:
                member_.clear();
                lose();
                return;
            case KafkaError::illegal_generation:
            case KafkaError::rebalance_in_progress:
                // Tells the group what it held, so that somebody else may have it now.
                joined_ = synced_ = false;
                return;
            default:
                return;  // Try again.
        }
    }

    std::string member_;
    std::int32_t generation_ = -1;
    bool joined_ = false;
    bool synced_ = false;
    std::vector<std::string> to_assign_;
    bool busy_ = false;
};

std::unique_ptr<Client> make_classic_client(World& world, std::string name) {
    return std::make_unique<ClassicClient>(world, std::move(name));
}
std::unique_ptr<Client> make_consumer_client(World& world, std::string name) {
    return std::make_unique<ConsumerClient>(world, std::move(name));
}

World::World(std::uint64_t seed, std::string kind)
    : random(seed), trace(std::getenv("SIM_TRACE") != nullptr) {
    settings.initial_rebalance_delay = 1s;
    topics->set("orders", partitions, 1);
    for (int i = 0; i < 6; ++i) {
        const bool is_classic = kind == "classic" || (kind == "mixed" && i % 2 == 0);
        const std::string name = fmt::format("{}{}", is_classic ? "c" : "k", i);
        clients.push_back(is_classic ? make_classic_client(*this, name)
                                     : make_consumer_client(*this, name));
    }
    log.commit_at_once = false;
    take_over();
}

void World::check_sole_owner(const Client& owner, Partition partition) const {
    for (const auto& other : clients) {
        if (other.get() != &owner && other->is_up() && other->owned().contains(partition)) {
            EXPECT_GE(loop.now() - other->last_heard(), other->grace())
                << owner.name() << " was given " << partition << " while " << other->name()
                << " still holds it";
        }
    }
}

/// Another broker leads, with what is committed and some of what is not.
void World::take_over() {
    ++takeovers;
    note("broker {} takes over", takeovers);
    if (coordinator != nullptr) {
        coordinator->resigned(p0, LeaderEpoch{epoch_ + 1});
        coordinator.reset();
    }
    support::MemoryPartition& partition = topic[p0];
    const std::int64_t uncommitted = partition.end() - partition.high_watermark;
    if (uncommitted > 0) {
        partition.truncate(
            partition.high_watermark +
            static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(uncommitted) + 1)));
    }
    if (random.one_in(3)) {
        compact();
    }
    partition.leader_epoch = LeaderEpoch{++epoch_};
    coordinator = std::make_unique<GroupCoordinator>(
        loop, log, random, settings, trace ? Logger{std::make_shared<Printer>()} : Logger{});
    coordinator->set_partition_count(1);
    coordinator->topics_changed(topics, {});
    coordinator->elected(p0, LeaderEpoch{epoch_});
}

/// What the cleaner does: below the high watermark only the last record of a key stays, and old
/// tombstones may go.
void World::compact() {
    support::MemoryPartition& partition = topic[p0];
    const bool drop_tombstones = random.one_in(2);
    std::map<std::string, Offset> last;
    const auto each = [&](auto visit) {
        for (auto& entry : partition.entries) {
            const auto batch = record::BatchView::parse(entry.batch).value();
            record::RecordReader reader{batch};
            for (record::RecordView record; reader.next(record);) {
                visit(entry, batch, record, record::offset_of(batch, record));
            }
        }
    };
    each([&](auto&, auto&, const record::RecordView& record, Offset offset) {
        last[std::string{as_text(*record.key)}] = offset;
    });
    std::vector<support::MemoryPartition::Entry> cleaned;
    for (auto& entry : partition.entries) {
        if (entry.end > partition.high_watermark) {
            cleaned.push_back(std::move(entry));
            continue;
        }
        const auto batch = record::BatchView::parse(entry.batch).value();
        record::BatchOptions options;
        options.base_offset = batch.base_offset();
        options.leader_epoch = batch.partition_leader_epoch();
        record::BatchBuilder builder{options};
        record::RecordReader reader{batch};
        for (record::RecordView record; reader.next(record);) {
            const Offset offset = record::offset_of(batch, record);
            const bool is_old_tombstone = !record.value && drop_tombstones;
            if (last.at(std::string{as_text(*record.key)}) == offset && !is_old_tombstone) {
                builder.append_at(offset, record::timestamp_of(batch, record), record);
            }
        }
        builder.keep_last_offset(batch.last_offset());
        builder.keep_max_timestamp(batch.max_timestamp());
        entry.batch = builder.finish();
        cleaned.push_back(std::move(entry));
    }
    partition.entries = std::move(cleaned);
}

void World::fault() {
    Client& client = *clients[random.below(clients.size())];
    switch (random.below(10)) {
        case 0:
            note("{} crashes", client.name());
            client.crash();
            break;
        case 1:
            note("{} leaves", client.name());
            client.leave();
            break;
        case 2:
        case 3:
        case 4:
            client.start();
            break;
        case 5:
            take_over();
            break;
        case 6:
            log.refuse = random.one_in(2) ? KafkaError::not_enough_replicas : KafkaError::none;
            break;
        case 7:
            log.hold_appends = !log.hold_appends;
            break;
        case 8:
            log.refuse = KafkaError::none;
            log.release_appends();
            break;
        case 9:
            if (random.one_in(4) && partitions < 16) {
                topics = std::make_shared<TestTopics>(*topics);
                topics->set("orders", ++partitions, 1);
                coordinator->topics_changed(topics, {});
            }
            break;
    }
}

void World::run(int steps) {
    for (int step = 0; step < steps; ++step) {
        if (random.one_in(12)) {
            fault();
        }
        clients[random.below(clients.size())]->act();
        loop.advance(std::chrono::milliseconds{random.below(400)});
        if (random.one_in(2)) {
            log.commit_all(p0);
        }
        if (random.one_in(5)) {
            log.release_appends();
        }
    }
}

void World::settle() {
    log.refuse = KafkaError::none;
    log.hold_appends = false;
    log.release_appends();
    log.commit_at_once = true;
    log.commit_all(p0);
    for (auto& client : clients) {
        client->start();
    }
    for (int step = 0; step < 2000; ++step) {
        for (auto& client : clients) {
            client->act();
        }
        loop.advance(100ms);
    }
    std::map<Partition, int> owners;
    for (const auto& client : clients) {
        for (const Partition partition : client->owned()) {
            ++owners[partition];
        }
    }
    for (Partition partition = 0; partition < partitions; ++partition) {
        EXPECT_EQ(owners[partition], 1) << "partition " << partition << "\n" << describe();
    }
}

std::string World::describe() const {
    std::string out;
    for (const auto& client : clients) {
        out += fmt::format("{} owns {}\n", client->name(), fmt::join(client->owned(), ","));
    }
    return out;
}

}  // namespace millrace::groups::sim
