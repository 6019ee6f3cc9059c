// What moves along a partition: where its records begin, and where a group goes on.
#include <map>
#include <memory>
#include <set>

#include "admin/internal/whom_to_ask.h"
#include "protocol/messages/delete_records_request.h"
#include "protocol/messages/delete_records_response.h"
#include "protocol/messages/offset_commit_request.h"
#include "protocol/messages/offset_commit_response.h"
#include "protocol/messages/offset_delete_request.h"
#include "protocol/messages/offset_delete_response.h"
#include "protocol/messages/offset_fetch_request.h"
#include "protocol/messages/offset_fetch_response.h"

namespace millrace::admin {

namespace {

constexpr std::int16_t delete_records_version = 2;
constexpr std::int16_t offset_fetch_by_name_version = 9;
constexpr std::int16_t offset_commit_version = 9;
constexpr std::int16_t offset_delete_version = 0;
constexpr std::int32_t delete_timeout_ms = 25'000;

/// The error of a partition that is named with an offset beyond what it holds.
void fill_out_of_range(v1::ItemError& to, std::int64_t wanted, std::int64_t start,
                       std::int64_t end) {
    fill_error(to, code_of(KafkaError::offset_out_of_range),
               fmt::format("offset {} is not within {} to {}, where the partition's records are",
                           wanted, start, end));
}

class RecordDeletion : public std::enable_shared_from_this<RecordDeletion> {
public:
    RecordDeletion(AdminDoors& doors, Caller caller, const v1::DeleteRecordsRequest& request,
                   Answer<v1::DeleteRecordsResponse> answer)
        : doors_(doors), caller_(std::move(caller)), answer_(std::move(answer)) {
        for (const v1::RecordsBefore& one : request.partitions()) {
            const PartitionKey key{one.topic(), one.partition()};
            auto& outcome = *response_.add_partitions();
            outcome.mutable_partition()->set_topic(key.first);
            outcome.mutable_partition()->set_partition(key.second);
            outcome.set_start_offset(-1);
            before_[key] = one.before_offset();
            places_[key] = &outcome;
        }
    }

    bool names_one_twice() const {
        return places_.size() != static_cast<std::size_t>(response_.partitions_size());
    }

    void refuse(Error error) { answer_(std::move(error)); }

    /// What would be: nothing is deleted.
    void try_out() {
        find_bounds(doors_, caller_, partitions(),
                    [self = shared_from_this()](Result<Bounds> bounds) {
                        if (bounds) {
                            self->note(*bounds);
                        } else {
                            self->answer_(bounds.error());
                        }
                    });
    }

    void carry_out() {
        find_leaders(doors_, caller_, partitions(),
                     [self = shared_from_this()](Result<Leaders> leaders) {
                         if (leaders) {
                             self->ask(*leaders);
                         } else {
                             self->answer_(leaders.error());
                         }
                     });
    }

private:
    std::set<PartitionKey> partitions() const {
        std::set<PartitionKey> keys;
        for (const auto& [key, before] : before_) {
            keys.insert(key);
        }
        return keys;
    }

    void note(const Bounds& bounds) {
        for (auto& [key, outcome] : places_) {
            const FoundOffset& start = bounds.starts.at(key);
            const FoundOffset& end = bounds.ends.at(key);
            const std::int64_t wanted = before_.at(key) == -1 ? end.offset : before_.at(key);
            if (start.error != KafkaError::none || end.error != KafkaError::none) {
                fill_error(*outcome->mutable_error(),
                           start.error != KafkaError::none ? start.error : end.error);
            } else if (wanted < 0 || wanted > end.offset) {
                fill_out_of_range(*outcome->mutable_error(), wanted, start.offset, end.offset);
            } else {
                outcome->set_start_offset(std::max(start.offset, wanted));
            }
        }
        answer_(std::move(response_));
    }

    void ask(const Leaders& leaders) {
        std::map<BrokerId, protocol::DeleteRecordsRequest> requests;
        for (auto& [key, outcome] : places_) {
            const Whom& leader = leaders.at(key);
            if (leader.error != KafkaError::none) {
                fill_error(*outcome->mutable_error(), leader.error);
                continue;
            }
            // Until the leader says more.
            fill_error(*outcome->mutable_error(), KafkaError::network_exception);
            auto& request = requests[leader.broker];
            request.timeout_ms = delete_timeout_ms;
            protocol::DeleteRecordsRequest::DeleteRecordsPartition partition;
            partition.partition_index = key.second;
            partition.offset = before_.at(key);
            add_partition(request.topics, key, std::move(partition));
        }
        ask_each<protocol::DeleteRecordsResponse>(
            doors_, caller_, delete_records_version, requests,
            [self = shared_from_this()](BrokerId, const Error&,
                                        const protocol::DeleteRecordsResponse* response) {
                if (response != nullptr) {
                    self->note(*response);
                }
            },
            [self = shared_from_this()] { self->answer_(std::move(self->response_)); });
    }

    void note(const protocol::DeleteRecordsResponse& response) {
        for (const auto& topic : response.topics) {
            for (const auto& partition : topic.partitions) {
                const auto place =
                    places_.find({std::string{topic.name}, partition.partition_index});
                if (place == places_.end()) {
                    continue;
                }
                place->second->clear_error();
                if (partition.error_code != 0) {
                    fill_error(*place->second->mutable_error(), partition.error_code);
                } else {
                    place->second->set_start_offset(partition.low_watermark);
                }
            }
        }
    }

    AdminDoors& doors_;
    Caller caller_;
    Answer<v1::DeleteRecordsResponse> answer_;
    v1::DeleteRecordsResponse response_;
    std::map<PartitionKey, std::int64_t> before_;
    std::map<PartitionKey, v1::RecordsDeleted*> places_;  ///< In the response.
};

/// New offsets of a group: looked up, held against what the partitions hold, then committed as a
/// client without a membership does, which a group with members refuses.
class OffsetAlteration : public std::enable_shared_from_this<OffsetAlteration> {
public:
    OffsetAlteration(AdminDoors& doors, Caller caller, const v1::AlterGroupOffsetsRequest& request,
                     Answer<v1::AlterGroupOffsetsResponse> answer)
        : doors_(doors),
          caller_(std::move(caller)),
          group_(request.group()),
          is_trial_(request.guard().dry_run()),
          answer_(std::move(answer)) {
        for (const v1::NewOffset& one : request.offsets()) {
            const PartitionKey key{one.topic(), one.partition()};
            auto& altered = *response_.add_offsets();
            altered.mutable_partition()->set_topic(key.first);
            altered.mutable_partition()->set_partition(key.second);
            altered.set_before(-1);
            altered.set_after(-1);
            wanted_[key] = {one, &altered};
        }
    }

    Result<bool> check() const {
        if (group_.empty()) {
            return Error(Code::invalid, "group: name the group");
        }
        if (wanted_.size() != static_cast<std::size_t>(response_.offsets_size())) {
            return Error(Code::invalid, "offsets: a partition is named twice");
        }
        for (const auto& [key, wanted] : wanted_) {
            if (wanted.to.to_case() == v1::NewOffset::TO_NOT_SET) {
                return Error::make(Code::invalid,
                                   "offsets: {}-{}: say where to: offset, timestamp_ms, earliest, "
                                   "latest or forget",
                                   key.first, key.second);
            }
        }
        return true;
    }

    void refuse(const Error& error) { answer_(error); }

    void begin() {
        find_coordinators(
            doors_, caller_, {group_}, [self = shared_from_this()](Result<Coordinators> found) {
                if (!found) {
                    self->answer_(found.error());
                } else if (const Whom& whom = found->at(self->group_);
                           whom.error != KafkaError::none) {
                    self->answer_(Error(Code::unavailable, std::string{message_of(whom.error)}));
                } else {
                    self->coordinator_ = whom.broker;
                    self->look_up_commits();
                }
            });
    }

private:
    struct Wanted {
        v1::NewOffset to;
        v1::AlteredOffset* place;  ///< In the response.
        bool is_forgotten() const { return to.to_case() == v1::NewOffset::kForget; }
        bool has_failed() const { return place->error().kafka_error() != 0; }
    };

    void look_up_commits() {
        protocol::OffsetFetchRequest request;
        protocol::OffsetFetchRequest::OffsetFetchRequestGroup one;
        one.group_id = group_;
        one.topics = std::nullopt;
        request.groups.push_back(std::move(one));
        ask_kafka<protocol::OffsetFetchResponse>(
            doors_, caller_, offset_fetch_by_name_version, request,
            [self = shared_from_this()](const Error& error,
                                        const protocol::OffsetFetchResponse* response) {
                if (response == nullptr) {
                    self->answer_(error);
                    return;
                }
                for (const auto& group : response->groups) {
                    self->note_commits(group);
                }
                self->look_up_bounds();
            },
            coordinator_);
    }

    void note_commits(const protocol::OffsetFetchResponse::OffsetFetchResponseGroup& group) {
        for (const auto& topic : group.topics) {
            for (const auto& partition : topic.partitions) {
                const auto wanted =
                    wanted_.find({std::string{topic.name}, partition.partition_index});
                if (wanted != wanted_.end()) {
                    wanted->second.place->set_before(partition.committed_offset);
                }
            }
        }
    }

    void look_up_bounds() {
        std::set<PartitionKey> keys;
        for (const auto& [key, wanted] : wanted_) {
            if (!wanted.is_forgotten()) {
                keys.insert(key);
            }
        }
        find_bounds(doors_, caller_, keys, [self = shared_from_this()](Result<Bounds> bounds) {
            if (bounds) {
                self->look_up_timestamps(*std::move(bounds));
            } else {
                self->answer_(bounds.error());
            }
        });
    }

    void look_up_timestamps(Bounds bounds) {
        Timestamps timestamps;
        for (const auto& [key, wanted] : wanted_) {
            if (wanted.to.to_case() == v1::NewOffset::kTimestampMs) {
                timestamps[key] = std::max<std::int64_t>(0, wanted.to.timestamp_ms());
            }
        }
        find_offsets(
            doors_, caller_, std::move(timestamps),
            [self = shared_from_this(), bounds = std::move(bounds)](Result<FoundOffsets> found) {
                if (found) {
                    self->decide(bounds, *found);
                } else {
                    self->answer_(found.error());
                }
            });
    }

    void decide(const Bounds& bounds, const FoundOffsets& by_time) {
        for (auto& [key, wanted] : wanted_) {
            if (!wanted.is_forgotten()) {
                decide(wanted, bounds.starts.at(key), bounds.ends.at(key),
                       by_time.count(key) != 0 ? by_time.at(key) : FoundOffset{});
            }
        }
        if (is_trial_) {
            answer_(std::move(response_));
        } else {
            commit();
        }
    }

    static void decide(Wanted& wanted, const FoundOffset& start, const FoundOffset& end,
                       const FoundOffset& by_time) {
        for (const FoundOffset* found : {&start, &end, &by_time}) {
            if (found->error != KafkaError::none) {
                fill_error(*wanted.place->mutable_error(), found->error);
                return;
            }
        }
        std::int64_t to = end.offset;
        if (wanted.to.to_case() == v1::NewOffset::kEarliest) {
            to = start.offset;
        } else if (wanted.to.to_case() == v1::NewOffset::kTimestampMs && by_time.offset >= 0) {
            to = by_time.offset;
        } else if (wanted.to.to_case() == v1::NewOffset::kOffset) {
            to = wanted.to.offset();
        }
        if (to < start.offset || to > end.offset) {
            fill_out_of_range(*wanted.place->mutable_error(), to, start.offset, end.offset);
        } else {
            wanted.place->set_after(to);
        }
    }

    void commit() {
        protocol::OffsetCommitRequest request;
        request.group_id = group_;
        for (const auto& [key, wanted] : wanted_) {
            if (!wanted.is_forgotten() && !wanted.has_failed()) {
                protocol::OffsetCommitRequest::OffsetCommitRequestPartition partition;
                partition.partition_index = key.second;
                partition.committed_offset = wanted.place->after();
                add_partition(request.topics, key, std::move(partition));
            }
        }
        if (request.topics.empty()) {
            forget();
            return;
        }
        ask_kafka<protocol::OffsetCommitResponse>(
            doors_, caller_, offset_commit_version, request,
            [self = shared_from_this()](const Error& error,
                                        const protocol::OffsetCommitResponse* response) {
                if (response == nullptr) {
                    self->answer_(error);
                } else if (self->note(response->topics)) {
                    self->forget();
                }
            },
            coordinator_);
    }

    void forget() {
        protocol::OffsetDeleteRequest request;
        request.group_id = group_;
        for (const auto& [key, wanted] : wanted_) {
            if (wanted.is_forgotten()) {
                add_partition(
                    request.topics, key,
                    protocol::OffsetDeleteRequest::OffsetDeleteRequestPartition{key.second});
            }
        }
        if (request.topics.empty()) {
            answer_(std::move(response_));
            return;
        }
        ask_kafka<protocol::OffsetDeleteResponse>(
            doors_, caller_, offset_delete_version, request,
            [self = shared_from_this()](const Error& error,
                                        const protocol::OffsetDeleteResponse* response) {
                if (response == nullptr) {
                    self->answer_(error);
                } else if (self->stands(response->error_code) && self->note(response->topics)) {
                    self->answer_(std::move(self->response_));
                }
            },
            coordinator_);
    }

    /// False once the call has been answered: the group has members, or is none at all.
    bool stands(std::int16_t error) {
        switch (static_cast<KafkaError>(error)) {
            case KafkaError::none:
                return true;
            case KafkaError::unknown_member_id:
            case KafkaError::illegal_generation:
            case KafkaError::stale_member_epoch:
            case KafkaError::rebalance_in_progress:
            case KafkaError::non_empty_group:
                answer_(Error::make(Code::fenced, "group {} has members: stop them first", group_));
                return false;
            case KafkaError::group_id_not_found:
                answer_(Error::make(Code::not_found, "there is no group {}", group_));
                return false;
            default:
                answer_(Error(Code::unavailable,
                              std::string{message_of(static_cast<KafkaError>(error))}));
                return false;
        }
    }

    template <typename Topics>
    bool note(const Topics& topics) {
        for (const auto& topic : topics) {
            for (const auto& partition : topic.partitions) {
                const auto wanted =
                    wanted_.find({std::string{topic.name}, partition.partition_index});
                if (wanted == wanted_.end() || partition.error_code == 0) {
                    continue;
                }
                const auto error = static_cast<KafkaError>(partition.error_code);
                if (error == KafkaError::unknown_topic_or_partition ||
                    error == KafkaError::group_subscribed_to_topic) {
                    fill_error(*wanted->second.place->mutable_error(), error);
                    wanted->second.place->set_after(-1);
                } else if (!stands(partition.error_code)) {
                    return false;
                }
            }
        }
        return true;
    }

    AdminDoors& doors_;
    Caller caller_;
    const std::string group_;
    const bool is_trial_;
    Answer<v1::AlterGroupOffsetsResponse> answer_;
    v1::AlterGroupOffsetsResponse response_;
    std::map<PartitionKey, Wanted> wanted_;
    BrokerId coordinator_ = no_broker;
};

}  // namespace

namespace calls {

void DeleteRecords(AdminDoors& doors, Caller caller, const v1::DeleteRecordsRequest& request,
                   Answer<v1::DeleteRecordsResponse> answer) {
    const auto deletion =
        std::make_shared<RecordDeletion>(doors, std::move(caller), request, std::move(answer));
    if (deletion->names_one_twice()) {
        deletion->refuse(Error(Code::invalid, "partitions: a partition is named twice"));
    } else if (request.guard().dry_run()) {
        deletion->try_out();
    } else {
        deletion->carry_out();
    }
}

void AlterGroupOffsets(AdminDoors& doors, Caller caller,
                       const v1::AlterGroupOffsetsRequest& request,
                       Answer<v1::AlterGroupOffsetsResponse> answer) {
    const auto alteration =
        std::make_shared<OffsetAlteration>(doors, std::move(caller), request, std::move(answer));
    if (const auto good = alteration->check(); !good) {
        alteration->refuse(good.error());
    } else {
        alteration->begin();
    }
}

}  // namespace calls

}  // namespace millrace::admin
