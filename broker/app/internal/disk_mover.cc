#include "app/internal/disk_mover.h"

#include <algorithm>
#include <set>

#include "protocol/messages/alter_replica_log_dirs_request.h"
#include "protocol/messages/alter_replica_log_dirs_response.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::app {
namespace {

using protocol::AlterReplicaLogDirsRequest;
using protocol::AlterReplicaLogDirsResponse;

/// A disk reads and another writes: more side by side would only make both seek.
constexpr std::ptrdiff_t most_on_a_broker = 2;
constexpr int unseen_at_most = 5;

enum class Whereabouts { unknown, elsewhere, arriving, arrived };

Whereabouts whereabouts(const ReplicaSizes& sizes, const placement::DiskMove& move) {
    const auto broker = sizes.find(move.broker);
    if (broker == sizes.end()) {
        return Whereabouts::unknown;
    }
    for (const DirectorySizes& directory : broker->second) {
        if (directory.path != move.to) {
            continue;
        }
        const auto there = directory.replicas.find(move.topic);
        if (there != directory.replicas.end() && there->second.contains(move.partition)) {
            return Whereabouts::arrived;
        }
        const auto coming = directory.arriving.find(move.topic);
        if (coming != directory.arriving.end() && coming->second.contains(move.partition)) {
            return Whereabouts::arriving;
        }
    }
    return Whereabouts::elsewhere;
}

}  // namespace

void DiskMover::step(bool may_start, UniqueFunction<void()> changed) {
    if (is_looking_) {
        return;
    }
    if (in_flight_.empty()) {
        if (may_start && start()) {
            changed();
        }
        return;
    }
    std::set<BrokerId> brokers;
    Partitions partitions;
    for (const Flight& flight : in_flight_) {
        brokers.insert(flight.move.broker);
        partitions[flight.move.topic].push_back(flight.move.partition);
    }
    is_looking_ = true;
    computer_->sizes_of({brokers.begin(), brokers.end()}, partitions,
                        [self = shared_from_this(), may_start, changed = std::move(changed)](
                            const std::shared_ptr<const ReplicaSizes>& sizes) mutable {
                            self->is_looking_ = false;
                            const std::size_t before = self->left();
                            self->settle(*sizes);
                            const bool started = may_start && self->start();
                            if (started || self->left() != before) {
                                changed();
                            }
                        });
}

void DiskMover::settle(const ReplicaSizes& sizes) {
    std::vector<Flight> still;
    for (Flight& flight : in_flight_) {
        switch (whereabouts(sizes, flight.move)) {
            case Whereabouts::arrived:
                continue;
            case Whereabouts::arriving:
                flight.unseen = 0;
                break;
            case Whereabouts::unknown:
            case Whereabouts::elsewhere:
                if (++flight.unseen >= unseen_at_most) {
                    fail(flight.move, "its broker is down, or gave the copy up");
                    continue;
                }
                break;
        }
        still.push_back(std::move(flight));
    }
    in_flight_ = std::move(still);
}

bool DiskMover::start() {
    std::map<BrokerId, std::vector<Move>> due;
    std::map<BrokerId, std::ptrdiff_t> busy;
    for (const Flight& flight : in_flight_) {
        ++busy[flight.move.broker];
    }
    for (auto at = waiting_.begin(); at != waiting_.end();) {
        if (busy[at->broker] >= most_on_a_broker) {
            ++at;
            continue;
        }
        ++busy[at->broker];
        due[at->broker].push_back(*at);
        in_flight_.push_back({std::move(*at), 0});
        at = waiting_.erase(at);
    }
    for (const auto& [broker, moves] : due) {
        ask(broker, moves, false);
    }
    return !due.empty();
}

void DiskMover::take_back() {
    waiting_.clear();
    std::map<BrokerId, std::vector<Move>> back;
    for (Flight& flight : in_flight_) {
        back[flight.move.broker].push_back(std::move(flight.move));
    }
    in_flight_.clear();
    for (const auto& [broker, moves] : back) {
        ask(broker, moves, true);
    }
}

void DiskMover::ask(BrokerId broker, const std::vector<Move>& moves, bool is_way_back) {
    std::map<std::string, std::map<std::string, std::vector<std::int32_t>>> wanted;
    for (const Move& move : moves) {
        wanted[is_way_back ? move.from : move.to][move.topic].push_back(move.partition);
    }
    AlterReplicaLogDirsRequest request;
    for (const auto& [path, topics] : wanted) {
        auto& directory = request.dirs.emplace_back();
        directory.path = path;
        for (const auto& [name, partitions] : topics) {
            auto& topic = directory.topics.emplace_back();
            topic.name = name;
            topic.partitions = partitions;
        }
    }
    admin::KafkaCall call;
    call.api_key = AlterReplicaLogDirsRequest::api_key;
    call.api_version = AlterReplicaLogDirsRequest::max_version;
    call.target = broker;
    protocol::Writer writer(call.body);
    request.encode(writer, call.api_version);
    computer_->doors().kafka(
        {}, std::move(call), [self = shared_from_this(), broker, moves](Result<Buffer> body) {
            self->control_.post(
                [self, broker, moves, body] { self->answered(broker, moves, body); });
        });
}

/// What was refused is over; what wasn't answered is seen by its whereabouts.
void DiskMover::answered(BrokerId broker, const std::vector<Move>& moves,
                         const Result<Buffer>& body) {
    if (!body) {
        MR_LOG(log_, warn, "plan.disk_moves_not_asked", field("broker", broker),
               field("reason", body.error().message()));
        return;
    }
    protocol::Reader reader(*body);
    AlterReplicaLogDirsResponse response;
    response.decode(reader, AlterReplicaLogDirsRequest::max_version);
    if (!reader.ok()) {
        return;
    }
    for (const auto& topic : response.results) {
        for (const auto& partition : topic.partitions) {
            const auto asked = std::find_if(moves.begin(), moves.end(), [&](const Move& move) {
                return move.topic == topic.topic_name &&
                       move.partition == partition.partition_index;
            });
            if (partition.error_code == 0 || asked == moves.end()) {
                continue;
            }
            const std::size_t gone = std::erase_if(in_flight_, [&](const Flight& flight) {
                return flight.move.broker == broker && flight.move.topic == asked->topic &&
                       flight.move.partition == asked->partition;
            });
            if (gone > 0) {
                fail(*asked, fmt::format("its broker refused with error {}", partition.error_code));
            }
        }
    }
}

void DiskMover::fail(const Move& move, const std::string& why) {
    MR_LOG(log_, warn, "plan.disk_move_failed", field("topic", move.topic),
           field("partition", move.partition), field("broker", move.broker), field("to", move.to),
           field("reason", why));
    if (failed_++ == 0) {
        first_failure_ = fmt::format("{}-{} to {} of broker {}: {}", move.topic, move.partition,
                                     move.to, move.broker.value, why);
    }
}

}  // namespace millrace::app
