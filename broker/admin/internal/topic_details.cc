#include "admin/internal/topic_details.h"

#include "admin/internal/whom_to_ask.h"
#include "protocol/messages/describe_log_dirs_request.h"
#include "protocol/messages/describe_log_dirs_response.h"
#include "protocol/messages/describe_topic_partitions_request.h"
#include "protocol/messages/describe_topic_partitions_response.h"
#include "protocol/messages/list_partition_reassignments_request.h"
#include "protocol/messages/list_partition_reassignments_response.h"

namespace millrace::admin {

namespace {

constexpr std::int16_t describe_topic_partitions_version = 0;
constexpr std::int16_t list_reassignments_version = 0;
constexpr std::int32_t reassignments_timeout_ms = 10'000;

class Details : public std::enable_shared_from_this<Details> {
public:
    Details(AdminDoors& doors, Caller caller, v1::DescribeTopicsResponse topics,
            Answer<v1::DescribeTopicsResponse> answer)
        : doors_(doors),
          caller_(std::move(caller)),
          topics_(std::move(topics)),
          answer_(std::move(answer)) {
        for (v1::TopicDescription& topic : *topics_.mutable_topics()) {
            for (v1::PartitionDescription& partition : *topic.mutable_partitions()) {
                places_[{topic.name(), partition.partition()}] = &partition;
            }
        }
    }

    void begin() { ask_who_is_eligible(std::nullopt); }

private:
    v1::PartitionDescription* place(std::string_view topic, std::int32_t partition) {
        const auto found = places_.find({std::string{topic}, partition});
        return found == places_.end() ? nullptr : found->second;
    }

    /// A page at a time.
    void ask_who_is_eligible(const std::optional<PartitionKey>& from) {
        protocol::DescribeTopicPartitionsRequest request;
        for (const v1::TopicDescription& topic : topics_.topics()) {
            if (topic.partitions_size() > 0) {
                request.topics.emplace_back().name = topic.name();
            }
        }
        if (request.topics.empty()) {
            answer_(std::move(topics_));
            return;
        }
        if (from) {
            request.cursor.emplace();
            request.cursor->topic_name = from->first;
            request.cursor->partition_index = from->second;
        }
        ask_kafka<protocol::DescribeTopicPartitionsResponse>(
            doors_, caller_, describe_topic_partitions_version, request,
            [self = shared_from_this(), from](
                const Error&, const protocol::DescribeTopicPartitionsResponse* response) {
                if (response != nullptr) {
                    self->note(*response);
                }
                if (response == nullptr || !response->next_cursor) {
                    self->ask_what_moves();
                    return;
                }
                const PartitionKey next{response->next_cursor->topic_name,
                                        response->next_cursor->partition_index};
                if (from && next <= *from) {
                    self->ask_what_moves();  // a cursor that doesn't go on would never end
                } else {
                    self->ask_who_is_eligible(next);
                }
            });
    }

    void note(const protocol::DescribeTopicPartitionsResponse& response) {
        for (const auto& topic : response.topics) {
            for (const auto& partition : topic.partitions) {
                auto* to = place(topic.name.value_or(""), partition.partition_index);
                if (to != nullptr && partition.eligible_leader_replicas) {
                    to->mutable_elr()->Assign(partition.eligible_leader_replicas->begin(),
                                              partition.eligible_leader_replicas->end());
                }
            }
        }
    }

    void ask_what_moves() {
        protocol::ListPartitionReassignmentsRequest request;
        request.timeout_ms = reassignments_timeout_ms;
        request.topics = std::nullopt;
        ask_kafka<protocol::ListPartitionReassignmentsResponse>(
            doors_, caller_, list_reassignments_version, request,
            [self = shared_from_this()](
                const Error&, const protocol::ListPartitionReassignmentsResponse* response) {
                if (response != nullptr) {
                    self->note(*response);
                }
                self->ask_for_bounds();
            });
    }

    void note(const protocol::ListPartitionReassignmentsResponse& response) {
        for (const auto& topic : response.topics) {
            for (const auto& partition : topic.partitions) {
                if (auto* to = place(topic.name, partition.partition_index); to != nullptr) {
                    to->mutable_adding()->Assign(partition.adding_replicas.begin(),
                                                 partition.adding_replicas.end());
                    to->mutable_removing()->Assign(partition.removing_replicas.begin(),
                                                   partition.removing_replicas.end());
                }
            }
        }
    }

    void ask_for_bounds() {
        std::set<PartitionKey> partitions;
        for (const auto& [key, place] : places_) {
            partitions.insert(key);
        }
        find_bounds(doors_, caller_, partitions,
                    [self = shared_from_this()](Result<Bounds> bounds) {
                        if (bounds) {
                            self->note(*bounds);
                        }
                        self->ask_for_sizes();
                    });
    }

    void note(const Bounds& bounds) {
        for (auto& [key, to] : places_) {
            const FoundOffset& start = bounds.starts.at(key);
            const FoundOffset& end = bounds.ends.at(key);
            if (start.error == KafkaError::none && end.error == KafkaError::none) {
                to->set_start_offset(start.offset);
                to->set_end_offset(end.offset);
            }
        }
    }

    void ask_for_sizes() {
        std::map<BrokerId, protocol::DescribeLogDirsRequest> requests;
        for (const auto& [key, place] : places_) {
            if (place->leader() < 0) {
                continue;
            }
            auto& topics = *requests[BrokerId{place->leader()}].topics;
            if (topics.empty() || topics.back().topic != key.first) {
                topics.emplace_back().topic = key.first;
            }
            topics.back().partitions.push_back(key.second);
        }
        ask_each<protocol::DescribeLogDirsResponse>(
            doors_, caller_, describe_log_dirs_version, requests,
            [self = shared_from_this()](BrokerId broker, const Error&,
                                        const protocol::DescribeLogDirsResponse* response) {
                if (response != nullptr) {
                    self->note(broker, *response);
                }
            },
            [self = shared_from_this()] { self->ask_for_links(); });
    }

    void note(BrokerId broker, const protocol::DescribeLogDirsResponse& response) {
        for (const auto& directory : response.results) {
            for (const auto& topic : directory.topics) {
                for (const auto& partition : topic.partitions) {
                    auto* to = place(topic.name, partition.partition_index);
                    if (to != nullptr && to->leader() == broker.value) {
                        to->set_size_bytes(partition.partition_size);
                    }
                }
            }
        }
    }

    void ask_for_links() {
        doors_.links(caller_, [self = shared_from_this()](Result<std::vector<KnownLink>> links) {
            if (links) {
                self->note(*links);
            }
            self->answer_(std::move(self->topics_));
        });
    }

    void note(const std::vector<KnownLink>& links) {
        std::map<std::string_view, std::string_view> link_of;
        for (const KnownLink& known : links) {
            for (const mirror::TopicView& topic : known.view.topics) {
                link_of[topic.topic] = known.link.spec.name;
            }
        }
        for (v1::TopicDescription& topic : *topics_.mutable_topics()) {
            if (const auto link = link_of.find(topic.name()); link != link_of.end()) {
                topic.set_mirror_link(std::string{link->second});
            }
        }
    }

    AdminDoors& doors_;
    Caller caller_;
    v1::DescribeTopicsResponse topics_;
    Answer<v1::DescribeTopicsResponse> answer_;
    std::map<PartitionKey, v1::PartitionDescription*> places_;  ///< In the response.
};

}  // namespace

void add_details(AdminDoors& doors, const Caller& caller, v1::DescribeTopicsResponse topics,
                 Answer<v1::DescribeTopicsResponse> answer) {
    std::make_shared<Details>(doors, caller, std::move(topics), std::move(answer))->begin();
}

}  // namespace millrace::admin
