#include "admin/internal/whom_to_ask.h"

#include "protocol/messages/find_coordinator_request.h"
#include "protocol/messages/find_coordinator_response.h"
#include "protocol/messages/list_offsets_request.h"
#include "protocol/messages/list_offsets_response.h"
#include "protocol/messages/metadata_request.h"
#include "protocol/messages/metadata_response.h"

namespace millrace::admin {

namespace {

constexpr std::int16_t find_coordinator_version = 4;
constexpr std::int16_t list_offsets_version = 7;

Leaders leaders_of(const std::set<PartitionKey>& partitions,
                   const protocol::MetadataResponse& found) {
    Leaders leaders;
    for (const PartitionKey& key : partitions) {
        leaders[key].error = KafkaError::unknown_topic_or_partition;
    }
    for (const auto& topic : found.topics) {
        for (const auto& partition : topic.partitions) {
            const auto leader =
                leaders.find({std::string{topic.name.value_or("")}, partition.partition_index});
            if (leader != leaders.end()) {
                leader->second.broker = BrokerId{partition.leader_id};
                leader->second.error =
                    partition.leader_id < 0 ? KafkaError::leader_not_available : KafkaError::none;
            }
        }
    }
    return leaders;
}

/// What is known of the offsets asked for. Shared by the answers of several brokers.
class OffsetQuestion : public std::enable_shared_from_this<OffsetQuestion> {
public:
    OffsetQuestion(AdminDoors& doors, Caller caller, Timestamps wanted, Answer<FoundOffsets> answer)
        : doors_(doors),
          caller_(std::move(caller)),
          wanted_(std::move(wanted)),
          answer_(std::move(answer)) {}

    void ask(const Leaders& leaders) {
        std::map<BrokerId, protocol::ListOffsetsRequest> requests;
        for (const auto& [key, timestamp] : wanted_) {
            const Whom& leader = leaders.at(key);
            found_[key].error = leader.error;
            if (leader.error != KafkaError::none) {
                continue;
            }
            // Until the leader says more.
            found_[key].error = KafkaError::network_exception;
            auto& request = requests[leader.broker];
            request.replica_id = no_broker.value;
            protocol::ListOffsetsRequest::ListOffsetsPartition partition;
            partition.partition_index = key.second;
            partition.timestamp = timestamp;
            add_partition(request.topics, key, std::move(partition));
        }
        ask_each<protocol::ListOffsetsResponse>(
            doors_, caller_, list_offsets_version, requests,
            [self = shared_from_this()](BrokerId, const Error&,
                                        const protocol::ListOffsetsResponse* response) {
                if (response != nullptr) {
                    self->note(*response);
                }
            },
            [self = shared_from_this()] { self->answer_(std::move(self->found_)); });
    }

    void fail(Error error) { answer_(std::move(error)); }

private:
    void note(const protocol::ListOffsetsResponse& response) {
        for (const auto& topic : response.topics) {
            for (const auto& partition : topic.partitions) {
                const auto found =
                    found_.find({std::string{topic.name}, partition.partition_index});
                if (found != found_.end()) {
                    found->second.offset = partition.offset;
                    found->second.error = static_cast<KafkaError>(partition.error_code);
                }
            }
        }
    }

    AdminDoors& doors_;
    Caller caller_;
    Timestamps wanted_;
    Answer<FoundOffsets> answer_;
    FoundOffsets found_;
};

}  // namespace

void find_coordinators(AdminDoors& doors, const Caller& caller, const std::set<std::string>& groups,
                       Answer<Coordinators> answer) {
    if (groups.empty()) {
        answer(Coordinators{});
        return;
    }
    constexpr std::int8_t of_a_group = 0;
    protocol::FindCoordinatorRequest request;
    request.key_type = of_a_group;
    request.coordinator_keys.assign(groups.begin(), groups.end());
    answer_from_kafka<protocol::FindCoordinatorResponse>(
        doors, caller, find_coordinator_version, request, std::move(answer),
        [groups](const protocol::FindCoordinatorResponse& found) {
            Coordinators coordinators;
            for (const std::string& group : groups) {
                coordinators[group].error = KafkaError::coordinator_not_available;
            }
            for (const auto& one : found.coordinators) {
                if (const auto place = coordinators.find(std::string{one.key});
                    place != coordinators.end()) {
                    place->second.broker = BrokerId{one.node_id};
                    place->second.error = static_cast<KafkaError>(one.error_code);
                }
            }
            return coordinators;
        });
}

void find_leaders(AdminDoors& doors, const Caller& caller, const std::set<PartitionKey>& partitions,
                  Answer<Leaders> answer) {
    protocol::MetadataRequest request;
    request.allow_auto_topic_creation = false;
    for (const PartitionKey& key : partitions) {
        if (request.topics->empty() || request.topics->back().name != key.first) {
            request.topics->emplace_back().name = key.first;
        }
    }
    if (request.topics->empty()) {
        answer(Leaders{});
        return;
    }
    answer_from_kafka<protocol::MetadataResponse>(
        doors, caller, metadata_version, request, std::move(answer),
        [partitions](const protocol::MetadataResponse& found) {
            return leaders_of(partitions, found);
        });
}

void find_offsets(AdminDoors& doors, const Caller& caller, Timestamps wanted,
                  Answer<FoundOffsets> answer) {
    std::set<PartitionKey> partitions;
    for (const auto& [key, timestamp] : wanted) {
        partitions.insert(key);
    }
    const auto question =
        std::make_shared<OffsetQuestion>(doors, caller, std::move(wanted), std::move(answer));
    find_leaders(doors, caller, partitions, [question](Result<Leaders> leaders) {
        if (leaders) {
            question->ask(*leaders);
        } else {
            question->fail(leaders.error());
        }
    });
}

void find_bounds(AdminDoors& doors, const Caller& caller, const std::set<PartitionKey>& partitions,
                 Answer<Bounds> answer) {
    find_offsets(doors, caller, at(earliest, partitions),
                 [&doors, caller, partitions,
                  answer = std::move(answer)](Result<FoundOffsets> starts) mutable {
                     if (!starts) {
                         answer(starts.error());
                         return;
                     }
                     find_offsets(doors, caller, at(latest, partitions),
                                  [starts = *std::move(starts),
                                   answer = std::move(answer)](Result<FoundOffsets> ends) mutable {
                                      if (ends) {
                                          answer(Bounds{std::move(starts), *std::move(ends)});
                                      } else {
                                          answer(ends.error());
                                      }
                                  });
                 });
}

Timestamps at(std::int64_t timestamp, const std::set<PartitionKey>& partitions) {
    Timestamps all;
    for (const PartitionKey& key : partitions) {
        all[key] = timestamp;
    }
    return all;
}

}  // namespace millrace::admin
