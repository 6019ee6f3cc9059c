#include "app/internal/admin_verbs.h"

#include <algorithm>
#include <list>
#include <mutex>
#include <set>
#include <string>

#include "admin/cluster_health.h"
#include "app/internal/controller_ask.h"
#include "app/internal/image_waits.h"
#include "metadata/standing.h"
#include "protocol/messages/add_raft_voter_request.h"
#include "protocol/messages/add_raft_voter_response.h"
#include "protocol/messages/describe_quorum_request.h"
#include "protocol/messages/describe_quorum_response.h"
#include "protocol/messages/elect_leaders_request.h"
#include "protocol/messages/elect_leaders_response.h"
#include "protocol/messages/incremental_alter_configs_request.h"
#include "protocol/messages/incremental_alter_configs_response.h"
#include "protocol/messages/remove_raft_voter_request.h"
#include "protocol/messages/remove_raft_voter_response.h"
#include "protocol/messages/unregister_broker_request.h"
#include "protocol/messages/unregister_broker_response.h"

namespace millrace::app {
namespace {

constexpr std::string_view quorum_topic = "__cluster_metadata";
constexpr std::int32_t voter_timeout_ms = 20'000;

enum class Operation : std::int8_t { set = 0, remove = 1 };

struct Setting {
    BrokerId broker;
    Operation operation = Operation::set;
    std::string value;
};

using Done = UniqueFunction<void(Result<void>)>;
using Quorum = admin::QuorumHealth;

std::int64_t since(std::int64_t timestamp_ms, std::int64_t now_ms) {
    return timestamp_ms < 0 ? -1 : std::max<std::int64_t>(0, now_ms - timestamp_ms);
}

template <typename Nodes>
std::vector<admin::VoterEndpoint> endpoints_of(const Nodes& nodes, std::int32_t id) {
    std::vector<admin::VoterEndpoint> endpoints;
    for (const auto& node : nodes) {
        if (node.node_id == id) {
            for (const auto& listener : node.listeners) {
                endpoints.push_back(
                    {std::string(listener.name), std::string(listener.host), listener.port});
            }
        }
    }
    return endpoints;
}

Result<Quorum> quorum_of(const protocol::DescribeQuorumResponse& response, std::int64_t now_ms) {
    if (response.error_code != 0) {
        return error_of(response.error_code, response.error_message);
    }
    if (response.topics.empty() || response.topics[0].partitions.empty()) {
        return Error(Code::internal, "the quorum's leader told nothing of the quorum");
    }
    const auto& partition = response.topics[0].partitions[0];
    if (partition.error_code != 0) {
        return error_of(partition.error_code, partition.error_message);
    }
    Quorum quorum;
    quorum.leader = BrokerId{partition.leader_id};
    quorum.high_watermark = Offset{partition.high_watermark};
    const auto convert = [&](const auto& from) {
        std::vector<admin::Voter> to;
        for (const auto& replica : from) {
            to.push_back({BrokerId{replica.replica_id}, replica.replica_directory_id,
                          Offset{replica.log_end_offset},
                          since(replica.last_fetch_timestamp, now_ms),
                          since(replica.last_caught_up_timestamp, now_ms),
                          endpoints_of(response.nodes, replica.replica_id)});
        }
        return to;
    };
    quorum.voters = convert(partition.current_voters);
    quorum.observers = convert(partition.observers);
    return quorum;
}

/// The first of the answers that speaks of an error.
Result<void> outcome_of(const protocol::IncrementalAlterConfigsResponse& response) {
    for (const auto& one : response.responses) {
        if (one.error_code != 0) {
            return error_of(one.error_code, one.error_message)
                .with_context(fmt::format("broker {}", one.resource_name));
        }
    }
    return {};
}

std::vector<BrokerId> all_cordoned(const metadata::Image& image) {
    std::vector<BrokerId> ids;
    for (const auto& [id, broker] : image.cluster.brokers) {
        if (metadata::is_cordoned(image, *broker)) {
            ids.push_back(id);
        }
    }
    return ids;
}

Result<void> check_known(const metadata::Image& image, const std::vector<BrokerId>& brokers) {
    if (brokers.empty()) {
        return Error(Code::invalid, "broker_ids: name at least one broker");
    }
    for (const BrokerId id : brokers) {
        if (image.cluster.broker(id) == nullptr) {
            return Error::make(Code::not_found, "no broker {} is registered", id);
        }
    }
    return {};
}

}  // namespace

struct AdminVerbs::Inside : std::enable_shared_from_this<AdminVerbs::Inside> {
    Inside(const BrokerView& view_in, runtime::Executor& control_in)
        : view(view_in), control(control_in), waits(control_in, *view_in.doors->image) {}

    metadata::ImagePtr image() const { return view.doors->image->current(); }

    void when(ImageWaits::Seen seen, ImageWaits::Then then) {
        waits.when(std::move(seen), std::move(then));
    }
    void on_publish(const metadata::ImagePtr& now) {
        note_voters();
        waits.on_publish(now);
    }
    void note_voters() {
        std::vector<admin::Voter> known;
        for (const raft::Voter& voter : view.quorum->voters().voters()) {
            auto& to = known.emplace_back();
            to.id = voter.key.id;
            to.directory_id = voter.key.directory;
            for (const raft::Listener& listener : voter.listeners) {
                to.endpoints.push_back(
                    {listener.name, listener.endpoint.host, listener.endpoint.port});
            }
        }
        const std::lock_guard lock(mutex);
        voters = std::move(known);
    }

    void set(std::string_view name, const std::vector<Setting>& settings, bool dry_run, Done done) {
        protocol::IncrementalAlterConfigsRequest request;
        request.validate_only = dry_run;
        std::list<std::string> names;
        for (const Setting& setting : settings) {
            auto& resource = request.resources.emplace_back();
            resource.resource_type = static_cast<std::int8_t>(metadata::ConfigResourceType::broker);
            resource.resource_name = names.emplace_back(std::to_string(setting.broker.value));
            auto& config = resource.configs.emplace_back();
            config.name = name;
            config.config_operation = static_cast<std::int8_t>(setting.operation);
            config.value = setting.operation == Operation::set
                               ? std::optional<std::string_view>(setting.value)
                               : std::nullopt;
        }
        ask_controller<protocol::IncrementalAlterConfigsResponse>(
            *view.doors->controller, control, request, 1,
            [done = std::move(done)](auto answer) mutable {
                done(answer ? outcome_of((*answer)->body) : Result<void>(answer.error()));
            });
    }

    /// Leadership goes back to the broker wherever it is first in order and in sync.
    void elect_preferred(BrokerId broker, Done done) {
        protocol::ElectLeadersRequest request;
        const metadata::ImagePtr now = image();
        for (const auto& [id, topic] : now->topics.by_id()) {
            std::vector<std::int32_t> indexes;
            for (const auto& [index, partition] : topic->partitions) {
                if (partition->replicas[0] == broker && partition->leader != broker &&
                    partition->isr.contains(broker)) {
                    indexes.push_back(index.value);
                }
            }
            if (!indexes.empty()) {
                request.topic_partitions->push_back({topic->name, std::move(indexes)});
            }
        }
        if (request.topic_partitions->empty()) {
            done({});
            return;
        }
        request.timeout_ms = 10'000;
        ask_controller<protocol::ElectLeadersResponse>(
            *view.doors->controller, control, request, 2,
            [done = std::move(done)](auto answer) mutable {
                if (!answer) {
                    done(answer.error());
                } else if ((*answer)->body.error_code != 0) {
                    done(error_of((*answer)->body.error_code, std::nullopt));
                } else {
                    done({});  // those that could not be given back are counted in the answer
                }
            });
    }

    void drain(BrokerId broker, bool dry_run, admin::Reply<admin::DrainResult> reply);
    void undrain(BrokerId broker, bool dry_run, admin::Reply<admin::DrainResult> reply);
    void describe(admin::Reply<Quorum> reply);
    void remove_voter(BrokerId id, const Uuid& directory, admin::Reply<bool> reply);

    const BrokerView view;
    runtime::Executor& control;
    ImageWaits waits;
    mutable std::mutex mutex;
    std::vector<admin::Voter> voters;  ///< Under the mutex.
};

AdminVerbs::AdminVerbs(const BrokerView& view, runtime::Executor& control)
    : inside_(std::make_shared<Inside>(view, control)) {
    view.publisher->subscribe(
        [inside = inside_](const metadata::Delta&, const metadata::ImagePtr& now) {
            inside->on_publish(now);
        });
}

AdminVerbs::~AdminVerbs() = default;

std::vector<BrokerId> AdminVerbs::voters() const {
    const std::lock_guard lock(inside_->mutex);
    std::vector<BrokerId> ids;
    for (const admin::Voter& voter : inside_->voters) {
        ids.push_back(voter.id);
    }
    return ids;
}

std::vector<admin::Voter> AdminVerbs::known_voters() const {
    const std::lock_guard lock(inside_->mutex);
    return inside_->voters;
}

void AdminVerbs::cordon(const admin::Caller& caller, std::vector<BrokerId> brokers, bool cordoned,
                        admin::Reply<std::vector<BrokerId>> reply) {
    if (auto known = check_known(*inside_->image(), brokers); !known) {
        reply(known.error());
        return;
    }
    std::vector<Setting> settings;
    const std::set<BrokerId> different(brokers.begin(), brokers.end());
    for (const BrokerId id : different) {
        settings.push_back({id, cordoned ? Operation::set : Operation::remove, "true"});
    }
    inside_->set(
        metadata::setting::cordoned, settings, caller.dry_run,
        [inside = inside_, different, cordoned, dry_run = caller.dry_run,
         reply = std::move(reply)](Result<void> outcome) mutable {
            if (!outcome) {
                reply(outcome.error());
                return;
            }
            if (dry_run) {
                const auto now = all_cordoned(*inside->image());
                std::set<BrokerId> then(now.begin(), now.end());
                for (const BrokerId id : different) {
                    cordoned ? (void)then.insert(id) : (void)then.erase(id);
                }
                reply(std::vector<BrokerId>(then.begin(), then.end()));
                return;
            }
            inside->when(
                [different, cordoned](const metadata::Image& image) {
                    return std::all_of(different.begin(), different.end(), [&](BrokerId id) {
                        const metadata::Broker* broker = image.cluster.broker(id);
                        const bool is_set =
                            image.configs.find(metadata::broker_settings(id),
                                               metadata::setting::cordoned) != nullptr;
                        // A broker that is up takes its directories' cordon back by a heartbeat.
                        const bool is_settled = cordoned || broker == nullptr || broker->fenced ||
                                                !metadata::is_cordoned(image, *broker);
                        return cordoned == is_set && is_settled;
                    });
                },
                [reply = std::move(reply)](const metadata::ImagePtr& now) mutable {
                    reply(all_cordoned(*now));
                });
        });
}

void AdminVerbs::Inside::drain(BrokerId broker, bool dry_run,
                               admin::Reply<admin::DrainResult> reply) {
    const BrokerEpoch epoch = image()->cluster.broker(broker)->epoch;
    set(metadata::setting::drained_epoch, {{broker, Operation::set, std::to_string(epoch.value)}},
        dry_run,
        [inside = shared_from_this(), broker, dry_run,
         reply = std::move(reply)](Result<void> outcome) mutable {
            if (!outcome) {
                reply(outcome.error());
                return;
            }
            if (dry_run) {
                admin::DrainResult result = admin::leaders_left(*inside->image(), broker);
                result.leaders_left = static_cast<int>(result.stuck.size());
                reply(std::move(result));
                return;
            }
            inside->when(
                [broker](const metadata::Image& image) {
                    const metadata::Broker* found = image.cluster.broker(broker);
                    if (found == nullptr) {
                        return true;
                    }
                    if (!metadata::is_drained(image, *found)) {
                        return false;
                    }
                    const admin::DrainResult left = admin::leaders_left(image, broker);
                    return static_cast<std::size_t>(left.leaders_left) == left.stuck.size();
                },
                [broker, reply = std::move(reply)](const metadata::ImagePtr& now) mutable {
                    reply(admin::leaders_left(*now, broker));
                });
        });
}

void AdminVerbs::Inside::undrain(BrokerId broker, bool dry_run,
                                 admin::Reply<admin::DrainResult> reply) {
    set(metadata::setting::drained_epoch, {{broker, Operation::remove, ""}}, dry_run,
        [inside = shared_from_this(), broker, dry_run,
         reply = std::move(reply)](Result<void> outcome) mutable {
            Done answer = [inside, broker,
                           reply = std::move(reply)](const Result<void>& done) mutable {
                if (!done) {
                    reply(done.error());
                } else {
                    admin::DrainResult result = admin::leaders_left(*inside->image(), broker);
                    result.stuck.clear();  // they stay because they may
                    reply(std::move(result));
                }
            };
            if (!outcome || dry_run) {
                answer(outcome);
            } else {
                inside->elect_preferred(broker, std::move(answer));
            }
        });
}

void AdminVerbs::drain_leaders(const admin::Caller& caller, BrokerId broker, bool undo,
                               admin::Reply<admin::DrainResult> reply) {
    // The image's broker is looked at again on the control loop, where it can't change.
    inside_->control.post([inside = inside_, broker, undo, dry_run = caller.dry_run,
                           reply = std::move(reply)]() mutable {
        if (auto known = check_known(*inside->image(), {broker}); !known) {
            reply(known.error());
        } else if (undo) {
            inside->undrain(broker, dry_run, std::move(reply));
        } else {
            inside->drain(broker, dry_run, std::move(reply));
        }
    });
}

void AdminVerbs::unregister_broker(const admin::Caller& caller, BrokerId broker,
                                   admin::Reply<bool> reply) {
    if (auto known = check_known(*inside_->image(), {broker}); !known) {
        reply(known.error());
        return;
    }
    const std::vector<BrokerId> quorum = voters();
    if (std::find(quorum.begin(), quorum.end(), broker) != quorum.end()) {
        reply(Error::make(Code::fenced, "broker {} is a voter of the quorum", broker));
        return;
    }
    if (caller.dry_run) {
        const auto health =
            admin::health_of(*inside_->image(), no_broker, [](const std::string&) { return 1; });
        for (const admin::BrokerHealth& one : health.brokers) {
            if (one.id == broker && one.replicas > 0) {
                reply(Error::make(Code::fenced, "broker {} has {} replicas", broker, one.replicas));
                return;
            }
        }
        reply(true);
        return;
    }
    protocol::UnregisterBrokerRequest request;
    request.broker_id = broker.value;
    request.unknown_tags.push_back({.tag = metadata::only_if_unused_tag, .data = {}});
    ask_controller<protocol::UnregisterBrokerResponse>(
        *inside_->view.doors->controller, inside_->control, request, 0,
        [inside = inside_, broker, reply = std::move(reply)](auto answer) mutable {
            if (!answer) {
                reply(answer.error());
                return;
            }
            if ((*answer)->body.error_code != 0) {
                reply(error_of((*answer)->body.error_code, (*answer)->body.error_message));
                return;
            }
            inside->when(
                [broker](const metadata::Image& image) {
                    return image.cluster.broker(broker) == nullptr;
                },
                [reply = std::move(reply)](const metadata::ImagePtr&) mutable { reply(true); });
        });
}

void AdminVerbs::Inside::describe(admin::Reply<Quorum> reply) {
    protocol::DescribeQuorumRequest request;
    auto& topic = request.topics.emplace_back();
    topic.topic_name = quorum_topic;
    topic.partitions.emplace_back().partition_index = 0;
    ask_controller<protocol::DescribeQuorumResponse>(
        *view.doors->controller, control, request, 2,
        [inside = shared_from_this(), reply = std::move(reply)](auto answer) mutable {
            if (!answer) {
                reply(answer.error());
            } else {
                reply(quorum_of((*answer)->body, inside->control.clock().wall().milliseconds));
            }
        });
}

void AdminVerbs::describe_quorum(admin::Reply<Quorum> reply) {
    inside_->describe(std::move(reply));
}

void AdminVerbs::add_voter(const admin::Caller& caller, admin::Voter voter,
                           admin::Reply<bool> reply) {
    inside_->describe([inside = inside_, voter = std::move(voter), dry_run = caller.dry_run,
                       reply = std::move(reply)](Result<Quorum> quorum) mutable {
        if (!quorum) {
            reply(quorum.error());
            return;
        }
        for (const admin::Voter& known : quorum->voters) {
            if (known.id == voter.id && known.directory_id == voter.directory_id) {
                reply(true);  // asked again: it is what was wanted
                return;
            }
        }
        for (const admin::Voter& observer : quorum->observers) {
            if (observer.id == voter.id && voter.endpoints.empty()) {
                voter.endpoints = observer.endpoints;
            }
        }
        if (dry_run) {
            reply(true);
            return;
        }
        protocol::AddRaftVoterRequest request;
        request.cluster_id = inside->view.doors->cluster_id;
        request.timeout_ms = voter_timeout_ms;
        request.voter_id = voter.id.value;
        request.voter_directory_id = voter.directory_id;
        for (const admin::VoterEndpoint& endpoint : voter.endpoints) {
            request.listeners.push_back(
                {.name = endpoint.listener, .host = endpoint.host, .port = endpoint.port});
        }
        ask_controller<protocol::AddRaftVoterResponse>(
            *inside->view.doors->controller, inside->control, request, 1,
            [reply = std::move(reply)](auto answer) mutable {
                if (!answer) {
                    reply(answer.error());
                } else if ((*answer)->body.error_code != 0) {
                    reply(error_of((*answer)->body.error_code, (*answer)->body.error_message));
                } else {
                    reply(true);
                }
            });
    });
}

void AdminVerbs::Inside::remove_voter(BrokerId id, const Uuid& directory,
                                      admin::Reply<bool> reply) {
    protocol::RemoveRaftVoterRequest request;
    request.cluster_id = view.doors->cluster_id;
    request.voter_id = id.value;
    request.voter_directory_id = directory;
    ask_controller<protocol::RemoveRaftVoterResponse>(
        *view.doors->controller, control, request, 0,
        [reply = std::move(reply)](auto answer) mutable {
            if (!answer) {
                reply(answer.error());
            } else if ((*answer)->body.error_code != 0) {
                reply(error_of((*answer)->body.error_code, (*answer)->body.error_message));
            } else {
                reply(true);
            }
        });
}

void AdminVerbs::remove_voter(const admin::Caller& caller, BrokerId id, Uuid directory_id,
                              admin::Reply<bool> reply) {
    inside_->describe([inside = inside_, id, directory_id, dry_run = caller.dry_run,
                       reply = std::move(reply)](Result<Quorum> quorum) mutable {
        if (!quorum) {
            reply(quorum.error());
            return;
        }
        const auto found = std::find_if(
            quorum->voters.begin(), quorum->voters.end(), [&](const admin::Voter& voter) {
                return voter.id == id &&
                       (directory_id.is_zero() || voter.directory_id == directory_id);
            });
        if (found == quorum->voters.end()) {
            reply(Error::make(Code::not_found, "no voter {} with directory {}", id, directory_id));
        } else if (dry_run) {
            reply(true);
        } else {
            inside->remove_voter(id, found->directory_id, std::move(reply));
        }
    });
}

}  // namespace millrace::app
