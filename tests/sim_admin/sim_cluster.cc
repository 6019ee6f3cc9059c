#include "tests/sim_admin/sim_cluster.h"

#include <algorithm>
#include <string_view>

#include "tests/sim_admin/sim_call.h"

namespace millrace::sim_admin {

namespace {

constexpr std::string_view new_disk =
    "-new";  ///< What a directory that came after another ends with.

bool contains(const std::vector<int>& list, int id) {
    return std::find(list.begin(), list.end(), id) != list.end();
}

std::string volume_path(int volume) {
    return "/var/lib/millrace/" + std::to_string(volume) + "/log";
}

void remove(std::vector<int>& list, int id) {
    list.erase(std::remove(list.begin(), list.end(), id), list.end());
}

}  // namespace

SimCluster::SimCluster() = default;

// ---- The world ---------------------------------------------------------------------------------

void SimCluster::add_broker(int id, const std::string& rack) {
    const SimCall call{*this, ""};
    Broker broker;
    broker.rack = rack;
    brokers_[id] = broker;
    if (next_voter_ < knobs_.first_voters) {
        ++next_voter_;
        voters_[id] = "dir-" + std::to_string(id);
    }
    elect_a_voter();
    moved();
}

void SimCluster::add_controller(int id) {
    const SimCall call{*this, ""};
    controllers_.insert(id);
    elect_a_voter();
    moved();
}

std::string SimCluster::directory_of(int id) const {
    const auto changed = directories_.find(id);
    return changed == directories_.end() ? "dir-" + std::to_string(id) : changed->second;
}

void SimCluster::put_on_volume(int id, int volume, int replicas) {
    const std::lock_guard lock(mutex_);
    brokers_.at(id).on_volumes[volume] = replicas;
}

bool SimCluster::is_cordoned(int broker, int volume) const {
    v1::ConfigResource resource;
    resource.set_type(v1::CONFIG_RESOURCE_TYPE_BROKER);
    resource.set_name(std::to_string(broker));
    const auto configs = configs_.find(config_key(resource));
    if (configs == configs_.end()) {
        return false;
    }
    const auto list = configs->second.find("cordoned.log.dirs");
    return list != configs->second.end() &&
           (list->second + ",").find(volume_path(volume) + ",") != std::string::npos;
}

int SimCluster::on_cordoned_volumes() const {
    int replicas = 0;
    for (const auto& [id, broker] : brokers_) {
        for (const auto& [volume, on_it] : broker.on_volumes) {
            replicas += is_cordoned(id, volume) ? on_it : 0;
        }
    }
    return replicas;
}

void SimCluster::empty_cordoned_volumes() {
    for (auto& [id, broker] : brokers_) {
        for (auto& [volume, on_it] : broker.on_volumes) {
            on_it = is_cordoned(id, volume) ? 0 : on_it;
        }
    }
}

void SimCluster::change_disk(int id) {
    const SimCall call{*this, ""};
    directories_[id] = directory_of(id) + std::string(new_disk);
    moved();
}

void SimCluster::stop_broker(int id) {
    const SimCall call{*this, ""};
    if (controllers_.erase(id) > 0) {
        elect_a_voter();
        return;
    }
    brokers_.at(id).alive = false;
    for (auto& [name, topic] : topics_) {
        for (Partition& partition : topic.partitions) {
            // The last in-sync replica stays in the set: it is the one that has everything.
            if (partition.isr.size() > 1) {
                remove(partition.isr, id);
            }
        }
    }
    elect_all();
    elect_a_voter();
    moved();
}

bool SimCluster::is_up(int id) const {
    const auto broker = brokers_.find(id);
    return controllers_.count(id) != 0 || (broker != brokers_.end() && broker->second.alive);
}

void SimCluster::elect_a_voter() {
    if (voters_.count(controller_) != 0 && is_up(controller_)) {
        return;
    }
    const auto found = std::find_if(voters_.begin(), voters_.end(),
                                    [&](const auto& voter) { return is_up(voter.first); });
    controller_ = found == voters_.end() ? -1 : found->first;
    ++epoch_;
}

bool SimCluster::is_registered(int id) const {
    const std::lock_guard lock(mutex_);
    return brokers_.count(id) != 0;
}

void SimCluster::start_broker(int id) {
    const SimCall call{*this, ""};
    Broker& broker = brokers_.at(id);
    broker.alive = true;
    elect_a_voter();
    broker.drained = false;
    broker.dead_ticks = 0;
    ++broker.epoch;
    broker.recovering_ticks = knobs_.recovery_ticks;
    broker.lagging_ticks = knobs_.catch_up_ticks;
    moved();
}

void SimCluster::add_topic(const std::string& name, int partitions, int replication_factor,
                           int min_isr) {
    const SimCall call{*this, ""};
    Topic topic;
    topic.id = new_id("topic-");
    topic.min_isr = min_isr;
    place(topic, partitions, replication_factor);
    topics_[name] = std::move(topic);
    ++placement_version_;
    moved();
}

void SimCluster::add_group(const std::string& name, const std::string& topic, std::int64_t lag) {
    const SimCall call{*this, ""};
    Group group;
    group.topic = topic;
    auto& partitions = topics_.at(topic).partitions;
    for (std::size_t i = 0; i < partitions.size(); ++i) {
        partitions[i].end = std::max(partitions[i].end, lag);
        group.committed[static_cast<int>(i)] = partitions[i].end - lag;
    }
    groups_[name] = group;
    moved();
}

void SimCluster::elect_controller(int id) {
    const SimCall call{*this, ""};
    controller_ = id;
    ++epoch_;
    moved();
}

void SimCluster::tick(int times) {
    for (int i = 0; i < times; ++i) {
        const SimCall call{*this, ""};
        tick_brokers();
        tick_plans();
        tick_links();
        moved();
    }
}

void SimCluster::tick_brokers() {
    for (auto& [id, broker] : brokers_) {
        if (!broker.alive) {
            ++broker.dead_ticks;
        } else if (broker.recovering_ticks > 0) {
            --broker.recovering_ticks;
        } else if (broker.lagging_ticks > 0 && --broker.lagging_ticks == 0) {
            for (auto& [name, topic] : topics_) {
                for (Partition& partition : topic.partitions) {
                    if (contains(partition.replicas, id) && !contains(partition.isr, id)) {
                        partition.isr.push_back(id);
                    }
                }
            }
            elect_all();
        }
    }
}

// ---- What goes wrong ---------------------------------------------------------------------------

void SimCluster::forbid_restart(int id, const std::string& reason) {
    const SimCall call{*this, ""};
    brokers_.at(id).forbidden = reason;
    moved();
}

void SimCluster::allow_restart(int id) {
    const SimCall call{*this, ""};
    brokers_.at(id).forbidden.clear();
    moved();
}

void SimCluster::fail_next(const std::string& call, Code code, const std::string& message,
                           int times) {
    const std::lock_guard lock{mutex_};
    failures_.insert_or_assign(call, Failure{code, message, times});
}

void SimCluster::fail_moves_of(const std::string& topic) {
    const std::lock_guard lock{mutex_};
    failing_topics_.insert(topic);
}

std::optional<Error> SimCluster::injected(const std::string& call) {
    const auto found = failures_.find(call);
    if (found == failures_.end()) {
        return std::nullopt;
    }
    Error error{found->second.code, found->second.message};
    if (--found->second.times == 0) {
        failures_.erase(found);
    }
    return error;
}

// ---- What a test looks at
// ------------------------------------------------------------------------

std::int64_t SimCluster::epoch() const {
    const std::lock_guard lock{mutex_};
    return epoch_;
}

bool SimCluster::has_replicas(int broker) const {
    const std::lock_guard lock{mutex_};
    return replicas_on(broker) > 0;
}

std::vector<std::string> SimCluster::journal() const {
    const std::lock_guard lock{mutex_};
    return journal_;
}

int SimCluster::listen(Listener listener) {
    const std::lock_guard lock{mutex_};
    listeners_[next_listener_] = std::move(listener);
    return next_listener_++;
}

void SimCluster::forget(int listener) {
    const std::lock_guard lock{mutex_};
    listeners_.erase(listener);
}

void SimCluster::tell() {
    std::vector<Listener> listeners;
    {
        const std::lock_guard lock{mutex_};
        for (const auto& [number, listener] : listeners_) {
            listeners.push_back(listener);
        }
    }
    for (const Listener& listener : listeners) {
        listener();
    }
}

v1::HealthResponse SimCluster::health() const {
    const std::lock_guard lock{mutex_};
    v1::HealthResponse health;
    health.set_epoch(epoch_);
    health.set_metadata_offset(offset_);
    health.set_controller_id(controller_);
    for (const auto& [id, broker] : brokers_) {
        *health.add_brokers() = broker_health(id, broker);
    }
    *health.mutable_partitions() = partition_health();
    *health.mutable_quorum() = quorum_health();
    return health;
}

// ---- Parts
// ---------------------------------------------------------------------------------------

std::vector<int> SimCluster::live_brokers() const {
    std::vector<int> ids;
    for (const auto& [id, broker] : brokers_) {
        if (broker.alive && broker.recovering_ticks == 0) {
            ids.push_back(id);
        }
    }
    return ids;
}

int SimCluster::replicas_on(int broker) const {
    int count = 0;
    for (const auto& [name, topic] : topics_) {
        for (const Partition& partition : topic.partitions) {
            count += contains(partition.replicas, broker) ? 1 : 0;
        }
    }
    return count;
}

void SimCluster::place(Topic& topic, int partitions, int replication_factor) {
    std::vector<int> ids;
    for (const int id : live_brokers()) {
        if (!brokers_.at(id).cordoned) {
            ids.push_back(id);
        }
    }
    for (int i = 0; i < partitions; ++i) {
        Partition partition;
        const std::size_t first = topic.partitions.size();
        for (int r = 0; r < replication_factor && r < static_cast<int>(ids.size()); ++r) {
            partition.replicas.push_back(ids[(first + static_cast<std::size_t>(r)) % ids.size()]);
        }
        partition.isr = partition.replicas;
        elect(partition);
        topic.partitions.push_back(std::move(partition));
    }
}

void SimCluster::elect(Partition& partition) const {
    partition.leader = -1;
    for (const bool drained_too : {false, true}) {
        for (const int id : partition.replicas) {
            const Broker& broker = brokers_.at(id);
            if (broker.alive && broker.recovering_ticks == 0 && contains(partition.isr, id) &&
                (drained_too || !broker.drained)) {
                partition.leader = id;
                return;
            }
        }
    }
}

void SimCluster::elect_all() {
    for (auto& [name, topic] : topics_) {
        for (Partition& partition : topic.partitions) {
            elect(partition);
        }
    }
}

v1::BrokerHealth SimCluster::broker_health(int id, const Broker& broker) const {
    v1::BrokerHealth health;
    health.set_id(id);
    health.set_rack(broker.rack);
    health.set_cordoned(broker.cordoned);
    health.set_broker_epoch(broker.epoch);
    health.set_state(!broker.alive && broker.dead_ticks >= knobs_.repair_ticks
                         ? v1::BROKER_STATE_DEAD
                     : !broker.alive               ? v1::BROKER_STATE_FENCED
                     : broker.recovering_ticks > 0 ? v1::BROKER_STATE_RECOVERING
                     : broker.drained              ? v1::BROKER_STATE_DRAINING
                                                   : v1::BROKER_STATE_RUNNING);
    const int ticks = std::max(1, knobs_.recovery_ticks);
    health.set_recovery_percent(100 - 100 * broker.recovering_ticks / ticks);
    health.set_replicas(replicas_on(id));
    for (const auto& [name, topic] : topics_) {
        for (const Partition& partition : topic.partitions) {
            health.set_leaders(health.leaders() + (partition.leader == id ? 1 : 0));
            const bool lags = contains(partition.replicas, id) && !contains(partition.isr, id) &&
                              !contains(partition.adding, id);
            health.set_lagging_replicas(health.lagging_replicas() + (lags ? 1 : 0));
            health.set_in_moves(health.in_moves() + (contains(partition.adding, id) ? 1 : 0));
        }
    }
    if (broker.recovering_ticks > 0) {
        health.set_waiting_for("checking logs");
    } else if (health.lagging_replicas() > 0) {
        health.set_waiting_for(std::to_string(health.lagging_replicas()) +
                               " replicas to be in sync");
    }
    return health;
}

v1::PartitionHealth SimCluster::partition_health() const {
    v1::PartitionHealth health;
    for (const auto& [name, topic] : topics_) {
        for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
            const Partition& partition = topic.partitions[i];
            const bool offline = partition.leader < 0;
            const bool under_min = static_cast<int>(partition.isr.size()) < topic.min_isr;
            const bool under_replicated = partition.isr.size() < partition.replicas.size();
            health.set_total(health.total() + 1);
            health.set_offline(health.offline() + (offline ? 1 : 0));
            health.set_under_min_isr(health.under_min_isr() + (under_min ? 1 : 0));
            health.set_under_replicated(health.under_replicated() + (under_replicated ? 1 : 0));
            health.set_reassigning(health.reassigning() + (partition.adding.empty() ? 0 : 1));
            if ((offline || under_min) && health.worst_size() < 10) {
                auto& worst = *health.add_worst();
                worst.mutable_partition()->set_topic(name);
                worst.mutable_partition()->set_partition(static_cast<int>(i));
                worst.set_leader(partition.leader);
                worst.set_min_isr(topic.min_isr);
                worst.mutable_isr()->Add(partition.isr.begin(), partition.isr.end());
                worst.mutable_replicas()->Add(partition.replicas.begin(), partition.replicas.end());
            }
        }
    }
    return health;
}

v1::QuorumHealth SimCluster::quorum_health() const {
    v1::QuorumHealth health;
    health.set_leader_id(controller_);
    health.set_high_watermark(offset_);
    // A disk that voted and is gone: a real leader, too, knows it for some minutes yet.
    for (const auto& [id, directory] : directories_) {
        const std::string lost = directory.substr(0, directory.rfind(new_disk));
        const auto voter = voters_.find(id);
        if (voter != voters_.end() && voter->second == lost) {
            continue;
        }
        v1::Voter& gone = *health.add_observers();
        gone.set_id(id);
        gone.set_directory_id(lost);
        gone.set_last_fetch_ms(60'000);
        gone.set_last_caught_up_ms(60'000);
    }
    for (const auto& [id, broker] : brokers_) {
        const auto voter = voters_.find(id);
        const std::string directory = directory_of(id);
        if (voter != voters_.end() && voter->second != directory) {
            v1::Voter& old = *health.add_voters();
            old.set_id(id);
            old.set_directory_id(voter->second);
            old.set_last_caught_up_ms(-1);
        }
        const bool votes = voter != voters_.end() && voter->second == directory;
        v1::Voter& one = votes ? *health.add_voters() : *health.add_observers();
        one.set_id(id);
        one.set_directory_id(directory);
        one.set_end_offset(broker.alive ? offset_ : 0);
        one.set_last_caught_up_ms(broker.alive ? 0 : -1);
    }
    for (const int id : controllers_) {
        v1::Voter& one = voters_.count(id) != 0 ? *health.add_voters() : *health.add_observers();
        one.set_id(id);
        one.set_directory_id(directory_of(id));
        one.set_end_offset(offset_);
    }
    return health;
}

std::vector<v1::RestartBlocker> SimCluster::blockers(const std::set<int>& stopping) const {
    std::vector<v1::RestartBlocker> found;
    const auto add = [&](v1::RestartBlocker::Reason reason, const std::string& message) -> auto& {
        v1::RestartBlocker& blocker = found.emplace_back();
        blocker.set_reason(reason);
        blocker.set_message(message);
        return blocker;
    };
    for (const int id : stopping) {
        const auto broker = brokers_.find(id);
        if (controllers_.count(id) != 0) {
            continue;
        }
        if (broker == brokers_.end()) {
            add(v1::RestartBlocker::REASON_UNKNOWN_BROKER, "there is no such broker")
                .set_broker_id(id);
        } else if (broker->second.recovering_ticks > 0) {
            add(v1::RestartBlocker::REASON_RECOVERING, "it is still checking its logs")
                .set_broker_id(id);
        } else if (!broker->second.forbidden.empty()) {
            add(v1::RestartBlocker::REASON_OFFLINE, broker->second.forbidden).set_broker_id(id);
        }
    }
    for (const auto& [name, topic] : topics_) {
        for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
            const Partition& partition = topic.partitions[i];
            int left = 0;
            bool touched = false;
            for (const int id : partition.replicas) {
                touched = touched || stopping.count(id) != 0;
                left +=
                    contains(partition.isr, id) && stopping.count(id) == 0 && brokers_.at(id).alive
                        ? 1
                        : 0;
            }
            if (!touched || left >= topic.min_isr) {
                continue;
            }
            auto& blocker = add(left == 0 ? v1::RestartBlocker::REASON_OFFLINE
                                          : v1::RestartBlocker::REASON_UNDER_MIN_ISR,
                                name + "-" + std::to_string(i) + " would have " +
                                    std::to_string(left) + " in sync");
            blocker.mutable_partition()->set_topic(name);
            blocker.mutable_partition()->set_partition(static_cast<int>(i));
        }
    }
    int voters_left = 0;
    for (const auto& [id, directory] : voters_) {
        voters_left += is_up(id) && stopping.count(id) == 0 ? 1 : 0;
    }
    const int majority = static_cast<int>(voters_.size()) / 2 + 1;
    const bool touches_quorum = std::any_of(stopping.begin(), stopping.end(),
                                            [&](int id) { return voters_.count(id) != 0; });
    if (touches_quorum && voters_left < majority) {
        add(v1::RestartBlocker::REASON_QUORUM, "the metadata quorum would lose its majority");
    }
    return found;
}

// ---- Calls about brokers
// -------------------------------------------------------------------------

Result<SimCluster::Broker*> SimCluster::broker(int id) {
    const auto found = brokers_.find(id);
    if (found == brokers_.end()) {
        return Error::make(Code::not_found, "there is no broker {}", id);
    }
    return &found->second;
}

Result<v1::IdentityResponse> SimCluster::Identity(const v1::IdentityRequest&) {
    MR_SIM_ENTER(Identity);
    v1::IdentityResponse response;
    response.set_cluster_id("c2ltdWxhdGVkLWNsdXN0ZXI");
    response.set_broker_id(controller_);
    response.set_version("0.0.0-sim");
    response.set_kafka_version("4.4.0");
    response.set_epoch(epoch_);
    response.add_roles("broker");
    response.add_roles("controller");
    return response;
}

Result<v1::RestartCheckResponse> SimCluster::RestartCheck(const v1::RestartCheckRequest& request) {
    MR_SIM_ENTER(RestartCheck);
    std::set<int> stopping{request.broker_ids().begin(), request.broker_ids().end()};
    if (request.with_those_down()) {
        for (const auto& [id, broker] : brokers_) {
            if (!broker.alive) {
                stopping.insert(id);
            }
        }
    }
    v1::RestartCheckResponse response;
    const auto found = blockers(stopping);
    response.set_allowed(found.empty());
    response.set_blocker_count(static_cast<int>(found.size()));
    for (std::size_t i = 0; i < std::min<std::size_t>(found.size(), 100); ++i) {
        *response.add_blockers() = found[i];
    }
    response.set_epoch(epoch_);
    response.set_metadata_offset(offset_);
    return response;
}

Result<v1::RestartProgressResponse> SimCluster::RestartProgress(
    const v1::RestartProgressRequest& request) {
    MR_SIM_ENTER(RestartProgress);
    MR_TRY(const Broker* found, broker(request.broker_id()));
    const v1::BrokerHealth health = broker_health(request.broker_id(), *found);
    v1::RestartProgressResponse response;
    response.set_state(health.state());
    response.set_broker_epoch(found->epoch);
    response.set_recovery_percent(health.recovery_percent());
    const int replicas = std::max(1, health.replicas());
    response.set_in_sync_percent(100 - 100 * health.lagging_replicas() / replicas);
    const bool restarted =
        request.previous_broker_epoch() == 0 || found->epoch != request.previous_broker_epoch();
    response.set_caught_up(restarted && health.state() == v1::BROKER_STATE_RUNNING &&
                           health.lagging_replicas() == 0);
    response.set_leaders_percent(response.caught_up() ? 100 : 0);
    response.set_waiting_for(restarted ? health.waiting_for() : "the restart");
    return response;
}

Result<v1::DrainLeadersResponse> SimCluster::DrainLeaders(const v1::DrainLeadersRequest& request) {
    MR_SIM_ENTER(DrainLeaders);
    MR_TRY(Broker * found, broker(request.broker_id()));
    v1::DrainLeadersResponse response;
    if (!request.guard().dry_run()) {
        note((request.undo() ? "UndrainLeaders " : "DrainLeaders ") +
             std::to_string(request.broker_id()));
        found->drained = !request.undo();
        elect_all();
        moved();
    }
    for (const auto& [name, topic] : topics_) {
        for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
            if (topic.partitions[i].leader == request.broker_id() && !request.undo()) {
                response.set_leaders_left(response.leaders_left() + 1);
                auto& stuck = *response.add_stuck();
                stuck.set_topic(name);
                stuck.set_partition(static_cast<int>(i));
            }
        }
    }
    return response;
}

Result<std::vector<int>> SimCluster::set_cordon(const v1::Guard& guard, const std::vector<int>& ids,
                                                bool cordoned) {
    for (const int id : ids) {
        MR_TRY([[maybe_unused]] const Broker* found, broker(id));
    }
    std::string line = cordoned ? "Cordon" : "Uncordon";
    for (const int id : ids) {
        line += " " + std::to_string(id);
        if (!guard.dry_run()) {
            brokers_.at(id).cordoned = cordoned;
        }
    }
    if (!guard.dry_run()) {
        note(line);
        moved();
    }
    std::vector<int> all;
    for (const auto& [id, broker] : brokers_) {
        if (broker.cordoned) {
            all.push_back(id);
        }
    }
    return all;
}

Result<v1::CordonResponse> SimCluster::Cordon(const v1::CordonRequest& request) {
    MR_SIM_ENTER(Cordon);
    MR_TRY(const auto all,
           set_cordon(request.guard(), {request.broker_ids().begin(), request.broker_ids().end()},
                      true));
    v1::CordonResponse response;
    response.mutable_cordoned()->Add(all.begin(), all.end());
    return response;
}

Result<v1::UncordonResponse> SimCluster::Uncordon(const v1::UncordonRequest& request) {
    MR_SIM_ENTER(Uncordon);
    MR_TRY(const auto all,
           set_cordon(request.guard(), {request.broker_ids().begin(), request.broker_ids().end()},
                      false));
    v1::UncordonResponse response;
    response.mutable_cordoned()->Add(all.begin(), all.end());
    return response;
}

Result<v1::UnregisterBrokerResponse> SimCluster::UnregisterBroker(
    const v1::UnregisterBrokerRequest& request) {
    MR_SIM_ENTER(UnregisterBroker);
    const int id = request.broker_id();
    MR_TRY([[maybe_unused]] const Broker* found, broker(id));
    if (const int replicas = replicas_on(id); replicas > 0) {
        return Error::make(Code::fenced, "broker {} has {} replicas", id, replicas);
    }
    if (voters_.count(id) != 0) {
        return Error::make(Code::fenced, "broker {} is a voter", id);
    }
    if (!request.guard().dry_run()) {
        note("UnregisterBroker " + std::to_string(id));
        brokers_.erase(id);
        moved();
    }
    return v1::UnregisterBrokerResponse{};
}

Result<v1::DescribeQuorumResponse> SimCluster::DescribeQuorum(const v1::DescribeQuorumRequest&) {
    MR_SIM_ENTER(DescribeQuorum);
    v1::DescribeQuorumResponse response;
    *response.mutable_quorum() = quorum_health();
    response.set_epoch(epoch_);
    return response;
}

Result<v1::AddVoterResponse> SimCluster::AddVoter(const v1::AddVoterRequest& request) {
    MR_SIM_ENTER(AddVoter);
    const int id = request.voter().id();
    if (controllers_.count(id) == 0) {
        MR_TRY(const Broker* found, broker(id));
        if (!found->alive) {
            return Error::make(Code::fenced, "broker {} has not caught up", id);
        }
    }
    if (voters_.count(id) != 0) {
        return Error::make(Code::exists, "broker {} is a voter", id);
    }
    if (request.voter().directory_id() != directory_of(id)) {
        return Error(Code::timed_out, "the new voter has not caught up with the log");
    }
    if (!request.guard().dry_run()) {
        note("AddVoter " + std::to_string(id));
        voters_[id] = request.voter().directory_id();
        moved();
    }
    return v1::AddVoterResponse{};
}

Result<v1::RemoveVoterResponse> SimCluster::RemoveVoter(const v1::RemoveVoterRequest& request) {
    MR_SIM_ENTER(RemoveVoter);
    const auto found = voters_.find(request.id());
    if (found == voters_.end() || found->second != request.directory_id()) {
        return Error::make(Code::not_found, "{} with directory '{}' is no voter", request.id(),
                           request.directory_id());
    }
    if (voters_.size() == 1) {
        return Error(Code::fenced, "it is the last voter");
    }
    if (!request.guard().dry_run()) {
        note("RemoveVoter " + std::to_string(request.id()));
        voters_.erase(found);
        elect_a_voter();
        moved();
    }
    return v1::RemoveVoterResponse{};
}

Result<v1::ReloadCertificatesResponse> SimCluster::ReloadCertificates(
    const v1::ReloadCertificatesRequest& request) {
    MR_SIM_ENTER(ReloadCertificates);
    if (!request.guard().dry_run()) {
        note("ReloadCertificates");
    }
    v1::ReloadCertificatesResponse response;
    response.add_certificates()->set_listener("ADMIN");
    return response;
}

Result<v1::DescribeLogDirsResponse> SimCluster::DescribeLogDirs(
    const v1::DescribeLogDirsRequest& request) {
    MR_SIM_ENTER(DescribeLogDirs);
    v1::DescribeLogDirsResponse response;
    const std::set<int> wanted{request.broker_ids().begin(), request.broker_ids().end()};
    for (const auto& [id, broker] : brokers_) {
        if (!wanted.empty() && wanted.count(id) == 0) {
            continue;
        }
        auto& directory = *response.add_directories();
        directory.set_broker_id(id);
        directory.set_id("dir-" + std::to_string(id));
        directory.set_path("/data");
        directory.set_total_bytes(100ll << 30);
        directory.set_free_bytes((100ll << 30) - replicas_on(id) * (1ll << 20));
        directory.set_online(broker.alive);
        for (const auto& [volume, replicas] : broker.on_volumes) {
            auto& one = *response.add_directories();
            one.set_broker_id(id);
            one.set_path(volume_path(volume));
            one.set_online(broker.alive);
            one.set_cordoned(is_cordoned(id, volume));
            for (int i = 0; i < replicas; ++i) {
                one.add_replicas();
            }
        }
    }
    return response;
}

}  // namespace millrace::sim_admin
