// Groups and their lag, through the same requests that Kafka's clients send, each asked of the
// broker that coordinates it.
#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "admin/internal/whom_to_ask.h"
#include "protocol/messages/consumer_group_describe_request.h"
#include "protocol/messages/consumer_group_describe_response.h"
#include "protocol/messages/consumer_protocol_assignment.h"
#include "protocol/messages/delete_groups_request.h"
#include "protocol/messages/delete_groups_response.h"
#include "protocol/messages/describe_groups_request.h"
#include "protocol/messages/describe_groups_response.h"
#include "protocol/messages/list_groups_request.h"
#include "protocol/messages/list_groups_response.h"
#include "protocol/messages/offset_fetch_request.h"
#include "protocol/messages/offset_fetch_response.h"

namespace millrace::admin {

namespace {

constexpr std::int16_t list_groups_version = 5;
constexpr std::int16_t describe_groups_version = 6;
constexpr std::int16_t consumer_describe_version = 1;
constexpr std::int16_t offset_fetch_version = 9;
constexpr std::int16_t delete_groups_version = 2;

void fill_partitions(google::protobuf::RepeatedPtrField<v1::TopicPartition>& to,
                     const protocol::ConsumerGroupDescribeResponse::Assignment& from) {
    for (const auto& topic : from.topic_partitions) {
        for (const std::int32_t partition : topic.partitions) {
            auto& one = *to.Add();
            one.set_topic(std::string{topic.topic_name});
            one.set_partition(partition);
        }
    }
}

void fill(v1::GroupDescription& to,
          const protocol::ConsumerGroupDescribeResponse::DescribedGroup& from) {
    to.set_type("consumer");
    to.set_state(std::string{from.group_state});
    to.set_assignor(std::string{from.assignor_name});
    to.set_epoch(from.group_epoch);
    for (const auto& member : from.members) {
        auto& one = *to.add_members();
        one.set_id(std::string{member.member_id});
        one.set_instance_id(std::string{member.instance_id.value_or("")});
        one.set_client_id(std::string{member.client_id});
        one.set_host(std::string{member.client_host});
        fill_partitions(*one.mutable_assignment(), member.assignment);
        fill_partitions(*one.mutable_target(), member.target_assignment);
    }
}

/// What a consumer's leader gave to a member of the old protocol. Other users of it (Connect) put
/// something else there, which stays empty.
void fill_assigned(google::protobuf::RepeatedPtrField<v1::TopicPartition>& to, ByteView bytes) {
    using Assignment = protocol::ConsumerProtocolAssignment;
    protocol::Reader reader(bytes);
    const std::int16_t version = reader.int16();
    Assignment assigned;
    if (reader.ok() && version >= 0) {
        assigned.decode(reader, std::min(version, Assignment::max_version));
    }
    if (!reader.ok()) {
        return;
    }
    for (const auto& topic : assigned.assigned_partitions) {
        for (const std::int32_t partition : topic.partitions) {
            auto& one = *to.Add();
            one.set_topic(std::string{topic.topic});
            one.set_partition(partition);
        }
    }
}

void fill(v1::GroupDescription& to, const protocol::DescribeGroupsResponse::DescribedGroup& from) {
    to.set_type("classic");
    to.set_state(std::string{from.group_state});
    to.set_assignor(std::string{from.protocol_data});
    for (const auto& member : from.members) {
        auto& one = *to.add_members();
        one.set_id(std::string{member.member_id});
        one.set_instance_id(std::string{member.group_instance_id.value_or("")});
        one.set_client_id(std::string{member.client_id});
        one.set_host(std::string{member.client_host});
        if (from.protocol_type == "consumer") {
            fill_assigned(*one.mutable_assignment(), member.member_assignment);
        }
    }
}

/// Every group of every broker. Who can't be asked, or doesn't say, is named.
struct AllGroups {
    struct Group {
        BrokerId coordinator;
        std::string type;
        std::string state;
        std::string protocol;
    };
    std::map<std::string, Group> groups;
    std::set<BrokerId> silent;
    Error why_silent{Code::unavailable, ""};

    void note(BrokerId broker, const protocol::ListGroupsResponse& response) {
        for (const auto& group : response.groups) {
            groups[std::string{group.group_id}] = {broker, std::string{group.group_type},
                                                   std::string{group.group_state},
                                                   std::string{group.protocol_type}};
        }
    }
    void miss(BrokerId broker, Error why) {
        silent.insert(broker);
        why_silent = std::move(why);
    }
};

void list_all(AdminDoors& doors, const Caller& caller, const protocol::ListGroupsRequest& request,
              Answer<AllGroups> answer) {
    std::map<BrokerId, protocol::ListGroupsRequest> requests{{doors.self(), request}};
    for (const BrokerId broker : doors.other_brokers()) {
        requests[broker] = request;
    }
    const auto all = std::make_shared<AllGroups>();
    ask_each<protocol::ListGroupsResponse>(
        doors, caller, list_groups_version, requests,
        [all](BrokerId broker, const Error& error, const protocol::ListGroupsResponse* response) {
            if (response == nullptr) {
                all->miss(broker, error);
            } else if (response->error_code != 0) {
                const auto code = static_cast<KafkaError>(response->error_code);
                all->miss(broker, Error(Code::unavailable, std::string{message_of(code)}));
            } else {
                all->note(broker, *response);
            }
        },
        [all, asked = requests.size(), answer = std::move(answer)]() mutable {
            if (all->silent.size() == asked) {
                answer(std::move(all->why_silent));
            } else {
                answer(std::move(*all));
            }
        });
}

void fill_silent(google::protobuf::RepeatedField<std::int32_t>& to,
                 const std::set<BrokerId>& silent) {
    for (const BrokerId broker : silent) {
        to.Add(broker.value);
    }
}

v1::ListGroupsResponse page_of(const AllGroups& all, const v1::Page& page) {
    constexpr int most = 1000;
    const int size = page.size() > 0 ? std::min(page.size(), most) : most;
    v1::ListGroupsResponse response;
    fill_silent(*response.mutable_silent_brokers(), all.silent);
    for (auto group = all.groups.upper_bound(page.after()); group != all.groups.end(); ++group) {
        if (response.groups_size() == size) {
            response.set_next(response.groups(size - 1).id());
            break;
        }
        auto& summary = *response.add_groups();
        summary.set_id(group->first);
        summary.set_type(group->second.type);
        summary.set_state(group->second.state);
        summary.set_protocol(group->second.protocol);
        summary.set_coordinator_id(group->second.coordinator.value);
    }
    return response;
}

/// Groups as their coordinators describe them: in the new protocol first, then once more in the old
/// one those that are no consumer groups of the new.
class GroupQuestion : public std::enable_shared_from_this<GroupQuestion> {
public:
    GroupQuestion(AdminDoors& doors, Caller caller, const v1::DescribeGroupsRequest& request,
                  Answer<v1::DescribeGroupsResponse> answer)
        : doors_(doors), caller_(std::move(caller)), answer_(std::move(answer)) {
        for (const std::string& group : request.groups()) {
            if (places_.emplace(group, response_.groups_size()).second) {
                response_.add_groups()->set_id(group);
            }
        }
    }

    void ask() {
        std::set<std::string> groups;
        for (const auto& [group, place] : places_) {
            groups.insert(group);
        }
        find_coordinators(doors_, caller_, groups,
                          [self = shared_from_this()](Result<Coordinators> found) {
                              if (found) {
                                  self->describe(*found);
                              } else {
                                  self->answer_(found.error());
                              }
                          });
    }

private:
    v1::GroupDescription& description(std::string_view group) {
        return *response_.mutable_groups(places_.at(std::string{group}));
    }

    void describe(const Coordinators& coordinators) {
        std::map<BrokerId, protocol::ConsumerGroupDescribeRequest> requests;
        for (const auto& [group, coordinator] : coordinators) {
            v1::GroupDescription& to = description(group);
            to.set_coordinator_id(coordinator.broker.value);
            if (coordinator.error != KafkaError::none) {
                fill_error(*to.mutable_error(), coordinator.error);
                continue;
            }
            requests[coordinator.broker].group_ids.push_back(to.id());
            asked_[coordinator.broker].insert(group);
        }
        ask_each<protocol::ConsumerGroupDescribeResponse>(
            doors_, caller_, consumer_describe_version, requests,
            [self = shared_from_this()](BrokerId broker, const Error& error,
                                        const protocol::ConsumerGroupDescribeResponse* from) {
                if (from == nullptr) {
                    self->fail(broker, error);
                } else {
                    self->note(broker, *from);
                }
            },
            [self = shared_from_this()] { self->describe_classic(); });
    }

    void note(BrokerId broker, const protocol::ConsumerGroupDescribeResponse& from) {
        for (const auto& group : from.groups) {
            if (places_.count(std::string{group.group_id}) == 0) {
                continue;
            }
            v1::GroupDescription& to = description(group.group_id);
            if (group.error_code == code_of(KafkaError::group_id_not_found)) {
                left_[broker].groups.push_back(to.id());
            } else if (group.error_code != 0) {
                fill_error(*to.mutable_error(), group.error_code, group.error_message);
            } else {
                fill(to, group);
            }
        }
    }

    void describe_classic() {
        ask_each<protocol::DescribeGroupsResponse>(
            doors_, caller_, describe_groups_version, left_,
            [self = shared_from_this()](BrokerId broker, const Error& error,
                                        const protocol::DescribeGroupsResponse* from) {
                if (from == nullptr) {
                    self->fail(broker, error);
                } else {
                    self->note(*from);
                }
            },
            [self = shared_from_this()] { self->answer_(std::move(self->response_)); });
    }

    void note(const protocol::DescribeGroupsResponse& from) {
        for (const auto& group : from.groups) {
            if (places_.count(std::string{group.group_id}) == 0) {
                continue;
            }
            v1::GroupDescription& to = description(group.group_id);
            if (group.error_code != 0) {
                fill_error(*to.mutable_error(), group.error_code, group.error_message);
            } else {
                fill(to, group);
            }
        }
    }

    /// What its coordinator has not described yet.
    void fail(BrokerId broker, const Error& error) {
        for (const std::string& group : asked_[broker]) {
            v1::GroupDescription& to = description(group);
            if (to.type().empty() && to.error().kafka_error() == 0) {
                fill_error(*to.mutable_error(), code_of(KafkaError::network_exception),
                           error.message());
            }
        }
    }

    AdminDoors& doors_;
    Caller caller_;
    Answer<v1::DescribeGroupsResponse> answer_;
    v1::DescribeGroupsResponse response_;
    std::map<std::string, int> places_;  ///< Of each group in the response.
    std::map<BrokerId, std::set<std::string>> asked_;
    std::map<BrokerId, protocol::DescribeGroupsRequest> left_;
};

/// The lag of some groups, put together from their commits and the ends of what they read.
class LagQuestion : public std::enable_shared_from_this<LagQuestion> {
public:
    LagQuestion(AdminDoors& doors, Caller caller, bool with_partitions,
                Answer<v1::GroupLagResponse> answer)
        : doors_(doors),
          caller_(std::move(caller)),
          with_partitions_(with_partitions),
          answer_(std::move(answer)) {}

    void about(const std::set<std::string>& groups) {
        find_coordinators(doors_, caller_, groups,
                          [self = shared_from_this()](Result<Coordinators> found) {
                              if (found) {
                                  self->ask_for_commits(*found);
                              } else {
                                  self->answer_(found.error());
                              }
                          });
    }
    void about_all() {
        list_all(doors_, caller_, {}, [self = shared_from_this()](Result<AllGroups> all) {
            if (!all) {
                self->answer_(all.error());
                return;
            }
            fill_silent(*self->response_.mutable_silent_brokers(), all->silent);
            Coordinators coordinators;
            for (const auto& [group, known] : all->groups) {
                coordinators[group].broker = known.coordinator;
            }
            self->ask_for_commits(coordinators);
        });
    }

private:
    void ask_for_commits(const Coordinators& coordinators) {
        std::map<BrokerId, protocol::OffsetFetchRequest> requests;
        for (const auto& [group, coordinator] : coordinators) {
            auto& lag = *response_.add_groups();
            lag.set_group(group);
            places_[group] = &lag;
            if (coordinator.error != KafkaError::none) {
                fill_error(*lag.mutable_error(), coordinator.error);
                continue;
            }
            protocol::OffsetFetchRequest::OffsetFetchRequestGroup one;
            one.group_id = group;
            one.topics = std::nullopt;
            requests[coordinator.broker].groups.push_back(std::move(one));
            asked_[coordinator.broker].push_back(&lag);
        }
        ask_each<protocol::OffsetFetchResponse>(
            doors_, caller_, offset_fetch_version, requests,
            [self = shared_from_this()](BrokerId broker, const Error& error,
                                        const protocol::OffsetFetchResponse* response) {
                if (response == nullptr) {
                    for (v1::GroupLag* lag : self->asked_[broker]) {
                        fill_error(*lag->mutable_error(), code_of(KafkaError::network_exception),
                                   error.message());
                    }
                } else {
                    self->note_commits(*response);
                }
            },
            [self = shared_from_this()] { self->ask_for_ends(); });
    }

    void note_commits(const protocol::OffsetFetchResponse& fetched) {
        for (const auto& group : fetched.groups) {
            const auto place = places_.find(std::string{group.group_id});
            if (place == places_.end()) {
                continue;
            }
            v1::GroupLag& lag = *place->second;
            if (group.error_code != 0) {
                fill_error(*lag.mutable_error(), group.error_code);
            }
            for (const auto& topic : group.topics) {
                for (const auto& partition : topic.partitions) {
                    auto& one = *lag.add_partitions();
                    one.mutable_partition()->set_topic(std::string{topic.name});
                    one.mutable_partition()->set_partition(partition.partition_index);
                    one.set_committed(partition.committed_offset);
                    one.set_end(-1);
                    one.set_records(-1);
                    read_.emplace(topic.name, partition.partition_index);
                }
            }
        }
    }

    void ask_for_ends() {
        find_offsets(doors_, caller_, at(latest, read_),
                     [self = shared_from_this()](Result<FoundOffsets> ends) {
                         if (!ends) {
                             self->answer_(ends.error());
                             return;
                         }
                         self->note_ends(*ends);
                         if (self->with_partitions_) {
                             self->ask_for_members();
                         } else {
                             self->answer_(std::move(self->response_));
                         }
                     });
    }

    void note_ends(const FoundOffsets& ends) {
        for (v1::GroupLag& group : *response_.mutable_groups()) {
            for (v1::PartitionLag& partition : *group.mutable_partitions()) {
                const auto end =
                    ends.find({partition.partition().topic(), partition.partition().partition()});
                if (end == ends.end() || end->second.error != KafkaError::none ||
                    partition.committed() < 0) {
                    continue;  // nobody leads it, or nothing committed: not known rather than zero
                }
                partition.set_end(end->second.offset);
                partition.set_records(
                    std::max<std::int64_t>(0, end->second.offset - partition.committed()));
                group.set_total_records(group.total_records() + partition.records());
            }
            if (!with_partitions_) {
                group.clear_partitions();
            }
        }
    }

    void ask_for_members() {
        v1::DescribeGroupsRequest request;
        for (const auto& [group, lag] : places_) {
            request.add_groups(group);
        }
        // The lag is known whether or not its readers are.
        auto then = [self = shared_from_this()](Result<v1::DescribeGroupsResponse> described) {
            if (described) {
                self->note_members(*described);
            }
            self->answer_(std::move(self->response_));
        };
        std::make_shared<GroupQuestion>(doors_, caller_, request, std::move(then))->ask();
    }

    void note_members(const v1::DescribeGroupsResponse& described) {
        for (const v1::GroupDescription& group : described.groups()) {
            std::map<PartitionKey, std::string> readers;
            for (const v1::GroupMember& member : group.members()) {
                for (const v1::TopicPartition& partition : member.assignment()) {
                    readers[{partition.topic(), partition.partition()}] = member.id();
                }
            }
            for (v1::PartitionLag& lag : *places_.at(group.id())->mutable_partitions()) {
                const auto reader =
                    readers.find({lag.partition().topic(), lag.partition().partition()});
                if (reader != readers.end()) {
                    lag.set_member_id(reader->second);
                }
            }
        }
    }

    AdminDoors& doors_;
    Caller caller_;
    bool with_partitions_;
    Answer<v1::GroupLagResponse> answer_;
    v1::GroupLagResponse response_;
    std::map<std::string, v1::GroupLag*> places_;  ///< In the response.
    std::map<BrokerId, std::vector<v1::GroupLag*>> asked_;
    std::set<PartitionKey> read_;
};

/// Deleted by each coordinator what is its own.
class GroupDeletion : public std::enable_shared_from_this<GroupDeletion> {
public:
    GroupDeletion(AdminDoors& doors, Caller caller, Answer<v1::DeleteGroupsResponse> answer)
        : doors_(doors), caller_(std::move(caller)), answer_(std::move(answer)) {}

    void begin(const std::set<std::string>& groups) {
        find_coordinators(doors_, caller_, groups,
                          [self = shared_from_this()](Result<Coordinators> found) {
                              if (found) {
                                  self->ask(*found);
                              } else {
                                  self->answer_(found.error());
                              }
                          });
    }

private:
    void ask(const Coordinators& coordinators) {
        std::map<BrokerId, protocol::DeleteGroupsRequest> requests;
        for (const auto& [group, coordinator] : coordinators) {
            auto& outcome = *response_.add_groups();
            outcome.set_group(group);
            places_[group] = &outcome;
            if (coordinator.error != KafkaError::none) {
                fill_error(*outcome.mutable_error(), coordinator.error);
                continue;
            }
            // Until its coordinator says more.
            fill_error(*outcome.mutable_error(), KafkaError::network_exception);
            requests[coordinator.broker].groups_names.push_back(group);
        }
        ask_each<protocol::DeleteGroupsResponse>(
            doors_, caller_, delete_groups_version, requests,
            [self = shared_from_this()](BrokerId, const Error&,
                                        const protocol::DeleteGroupsResponse* response) {
                if (response != nullptr) {
                    self->note(*response);
                }
            },
            [self = shared_from_this()] { self->answer_(std::move(self->response_)); });
    }

    void note(const protocol::DeleteGroupsResponse& response) {
        for (const auto& group : response.results) {
            if (const auto place = places_.find(std::string{group.group_id});
                place != places_.end()) {
                place->second->clear_error();
                if (group.error_code != 0) {
                    fill_error(*place->second->mutable_error(), group.error_code,
                               group.error_message);
                }
            }
        }
    }

    AdminDoors& doors_;
    Caller caller_;
    Answer<v1::DeleteGroupsResponse> answer_;
    v1::DeleteGroupsResponse response_;
    std::map<std::string, v1::GroupOutcome*> places_;  ///< In the response.
};

}  // namespace

namespace calls {

void ListGroups(AdminDoors& doors, Caller caller, const v1::ListGroupsRequest& request,
                Answer<v1::ListGroupsResponse> answer) {
    protocol::ListGroupsRequest kafka;
    kafka.states_filter.assign(request.states().begin(), request.states().end());
    kafka.types_filter.assign(request.types().begin(), request.types().end());
    list_all(doors, caller, kafka,
             [page = request.page(), answer = std::move(answer)](Result<AllGroups> all) mutable {
                 if (all) {
                     answer(page_of(*all, page));
                 } else {
                     answer(all.error());
                 }
             });
}

void DescribeGroups(AdminDoors& doors, Caller caller, const v1::DescribeGroupsRequest& request,
                    Answer<v1::DescribeGroupsResponse> answer) {
    std::make_shared<GroupQuestion>(doors, std::move(caller), request, std::move(answer))->ask();
}

void GroupLag(AdminDoors& doors, Caller caller, const v1::GroupLagRequest& request,
              Answer<v1::GroupLagResponse> answer) {
    const auto question = std::make_shared<LagQuestion>(
        doors, std::move(caller), request.with_partitions(), std::move(answer));
    if (request.groups().empty()) {
        question->about_all();
    } else {
        question->about({request.groups().begin(), request.groups().end()});
    }
}

void DeleteGroups(AdminDoors& doors, Caller caller, const v1::DeleteGroupsRequest& request,
                  Answer<v1::DeleteGroupsResponse> answer) {
    if (request.guard().dry_run()) {
        answer(Error(Code::unsupported, "Kafka's protocol has no trial of deleting groups"));
        return;
    }
    std::make_shared<GroupDeletion>(doors, std::move(caller), std::move(answer))
        ->begin({request.groups().begin(), request.groups().end()});
}

}  // namespace calls

}  // namespace millrace::admin
