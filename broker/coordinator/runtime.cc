#include "coordinator/runtime.h"

#include "coordinator/internal/shard.h"

namespace millrace::coordinator {

Runtime::Runtime(std::string name, runtime::Executor& executor, LogDoor& log, Factory factory,
                 RuntimeSettings settings, Logger logger)
    : common_(std::make_shared<Common>(Common{.name = std::move(name),
                                              .executor = executor,
                                              .log = log,
                                              .factory = std::move(factory),
                                              .settings = settings,
                                              .logger = std::move(logger),
                                              .compressor = {},
                                              .decompressor = {}})) {}

Runtime::~Runtime() {
    for (auto& [partition, shard] : std::exchange(shards_, {})) {
        shard->close();
    }
}

void Runtime::elected(PartitionIndex partition, LeaderEpoch epoch) {
    std::shared_ptr<Shard>& shard = shards_[partition];
    if (!shard) {
        shard = std::make_shared<Shard>(common_, partition);
    }
    const auto keep = shard;
    keep->elect(epoch);
}

void Runtime::resigned(PartitionIndex partition, std::optional<LeaderEpoch> epoch) {
    const auto found = shards_.find(partition);
    if (found == shards_.end() || (epoch && *epoch < found->second->epoch())) {
        return;
    }
    const auto shard = std::move(found->second);
    shards_.erase(found);
    shard->close();
}

KafkaError Runtime::status(PartitionIndex partition) const {
    const auto found = shards_.find(partition);
    return found == shards_.end() ? KafkaError::not_coordinator : found->second->status();
}

void Runtime::run(PartitionIndex partition, Body body, UniqueFunction<void(KafkaError)> refused) {
    if (const KafkaError error = status(partition); error != KafkaError::none) {
        refused(error);
        return;
    }
    const auto shard = shards_.at(partition);
    shard->run(std::move(body));
}

void Runtime::end_transaction(PartitionIndex partition, ProducerId producer, ProducerEpoch epoch,
                              std::int32_t coordinator_epoch, TransactionResult result,
                              Outcome done) {
    if (const KafkaError error = status(partition); error != KafkaError::none) {
        done(error);
        return;
    }
    const auto shard = shards_.at(partition);
    shard->end_transaction(producer, epoch, {result, coordinator_epoch}, std::move(done));
}

std::vector<ShardStatus> Runtime::shards() const {
    std::vector<ShardStatus> out;
    for (const auto& [partition, shard] : shards_) {
        out.push_back({partition, shard->epoch(),
                       shard->machine() != nullptr ? ShardStatus::Phase::active
                                                   : ShardStatus::Phase::loading});
    }
    return out;
}

const runtime::Executor& Runtime::executor() const {
    return common_->executor;
}

const StateMachine* Runtime::peek(PartitionIndex partition) const {
    const auto found = shards_.find(partition);
    return found == shards_.end() ? nullptr : found->second->machine();
}

KafkaError answer_for_log_error(KafkaError log_error) {
    switch (log_error) {
        case KafkaError::unknown_topic_or_partition:
        case KafkaError::not_enough_replicas:
        case KafkaError::not_enough_replicas_after_append:
        case KafkaError::request_timed_out:
            return KafkaError::coordinator_not_available;
        case KafkaError::not_leader_or_follower:
        case KafkaError::fenced_leader_epoch:
        case KafkaError::kafka_storage_error:
            return KafkaError::not_coordinator;
        case KafkaError::message_too_large:
        case KafkaError::record_list_too_large:
            return KafkaError::unknown_server_error;
        default:
            return log_error;
    }
}

}  // namespace millrace::coordinator
