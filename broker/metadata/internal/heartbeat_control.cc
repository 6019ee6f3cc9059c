// Heartbeats: who is let in, who is on the way out, who is gone.
#include <algorithm>

#include "metadata/controller_core.h"
#include "metadata/internal/partition_updates.h"
#include "metadata/internal/refusal.h"
#include "protocol/messages/broker_heartbeat_request.h"
#include "protocol/messages/broker_heartbeat_response.h"
#include "protocol/messages/broker_registration_change_record.h"

namespace millrace::metadata {
namespace {

enum class State { fenced, unfenced, controlled_shutdown, shutdown_now };

State state_of(const Broker& broker) {
    if (broker.fenced) {
        return State::fenced;
    }
    return broker.in_controlled_shutdown ? State::controlled_shutdown : State::unfenced;
}

/// Everyone who serves knows that the broker leads nothing any more.
bool everyone_knows(const Context& context, BrokerId leaving) {
    const Sessions::Session* session = context.sessions.find(leaving);
    if (session == nullptr || !session->stop_after) {
        return false;
    }
    for (const auto& [id, broker] : context.image.cluster.brokers) {
        const Sessions::Session* other = context.sessions.find(id);
        if (broker->is_active() && other != nullptr &&
            other->caught_up_to + 1 < *session->stop_after) {
            return false;
        }
    }
    return true;
}

State next_state(const Context& context, const Broker& broker,
                 const protocol::BrokerHeartbeatRequest& request) {
    const bool leads = context.index.load_of(broker.id).leaders > 0;
    switch (state_of(broker)) {
        case State::fenced:
            if (request.want_shut_down) {
                return State::shutdown_now;
            }
            // Only a new registration ends a controlled shutdown.
            return !request.want_fence && !broker.in_controlled_shutdown &&
                           request.current_metadata_offset >= broker.epoch.value
                       ? State::unfenced
                       : State::fenced;
        case State::unfenced:
            if (request.want_fence) {
                return request.want_shut_down ? State::shutdown_now : State::fenced;
            }
            if (request.want_shut_down) {
                return leads ? State::controlled_shutdown : State::shutdown_now;
            }
            return State::unfenced;
        case State::controlled_shutdown:
            return !leads && everyone_knows(context, broker.id) ? State::shutdown_now
                                                                : State::controlled_shutdown;
        case State::shutdown_now:
            break;
    }
    return State::shutdown_now;
}

protocol::BrokerRegistrationChangeRecord change_of(const Broker& broker) {
    protocol::BrokerRegistrationChangeRecord record;
    record.broker_id = broker.id.value;
    record.broker_epoch = broker.epoch.value;
    return record;
}

void add_registration_change(Draft& draft, const protocol::BrokerRegistrationChangeRecord& record) {
    draft.add(record, draft.image().metadata_version().broker_registration_change_record());
}

void add_fence(Draft& draft, const Broker& broker) {
    auto record = change_of(broker);
    record.fenced = 1;
    add_registration_change(draft, record);
}

void enter(State next, Draft& draft, const Context& context, const Broker& broker) {
    switch (next) {
        case State::fenced:
        case State::shutdown_now:
            take_out_of_isrs(draft, context, {broker.id});
            if (!broker.fenced) {
                add_fence(draft, broker);
            }
            break;
        case State::unfenced: {
            auto record = change_of(broker);
            record.fenced = -1;
            add_registration_change(draft, record);
            elect_with(draft, context, broker.id);
            break;
        }
        case State::controlled_shutdown: {
            auto record = change_of(broker);
            record.in_controlled_shutdown = 1;
            add_registration_change(draft, record);
            take_out_of_isrs(draft, context, {broker.id});
            break;
        }
    }
}

void note_directories(Draft& draft, const Context& context, const Broker& broker,
                      const protocol::BrokerHeartbeatRequest& request) {
    if (draft.image().metadata_version().has_directories()) {
        std::vector<Uuid> online = broker.directories;
        for (const Uuid& offline : request.offline_log_dirs) {
            if (std::erase(online, offline) > 0) {
                fail_directory(draft, context, broker.id, offline);
            }
        }
        if (online.size() != broker.directories.size()) {
            auto record = change_of(broker);
            record.log_dirs = online;
            add_registration_change(draft, record);
        }
    }
    if (draft.image().metadata_version().has_cordoned_directories() && request.cordoned_log_dirs) {
        std::vector<Uuid> cordoned = *request.cordoned_log_dirs;
        std::sort(cordoned.begin(), cordoned.end());
        if (broker.cordoned_directories != cordoned) {
            auto record = change_of(broker);
            record.cordoned_log_dirs = std::move(cordoned);
            add_registration_change(draft, record);
        }
    }
}

}  // namespace

Decision<protocol::BrokerHeartbeatResponse> broker_heartbeat(
    Context& context, const protocol::BrokerHeartbeatRequest& request) {
    Decision<protocol::BrokerHeartbeatResponse> decision(context);
    decision.atomic = false;
    const BrokerId id{request.broker_id};
    const BrokerEpoch epoch{request.broker_epoch};
    const BrokerRef* found = context.image.cluster.brokers.find(id);
    if (found == nullptr || (*found)->epoch != epoch) {
        decision.answer.error_code = code_of(KafkaError::stale_broker_epoch);
        return decision;
    }
    const BrokerRef broker = *found;
    if (!context.sessions.touch(id, epoch, Offset{request.current_metadata_offset}, context.now)) {
        context.sessions.begin(id, epoch, context.now);
        context.sessions.touch(id, epoch, Offset{request.current_metadata_offset}, context.now);
    }
    const State current = state_of(*broker);
    const State next = next_state(context, *broker, request);
    if (next != current) {
        enter(next, decision.draft, context, *broker);
    }
    note_directories(decision.draft, context, *broker, request);
    const bool leaving = next == State::controlled_shutdown;
    const Sessions::Session* session = context.sessions.find(id);
    if (leaving && (!session->stop_after || !decision.draft.records().empty())) {
        context.sessions.want_stop(
            id, context.next_offset + static_cast<std::int64_t>(decision.draft.records().size()));
    }
    decision.answer.is_caught_up = request.current_metadata_offset >= broker->epoch.value;
    decision.answer.is_fenced = next == State::fenced || next == State::shutdown_now;
    decision.answer.should_shut_down = next == State::shutdown_now;
    if (decision.answer.should_shut_down) {
        // It goes: whoever registers under this id from now on is its next process.
        context.sessions.end(id);
    }
    return decision;
}

Decision<NoAnswer> fence_overdue_brokers(Context& context) {
    Decision<NoAnswer> decision(context);
    decision.atomic = false;
    std::set<BrokerId> gone;
    for (const BrokerId id : context.sessions.overdue(context.now)) {
        const Broker* broker = context.image.cluster.broker(id);
        const bool current = broker != nullptr && context.sessions.find(id)->epoch == broker->epoch;
        if (current && !broker->fenced) {
            gone.insert(id);
        }
        context.sessions.end(id);
    }
    // All at once: electing a broker that goes in the same breath would only be undone.
    take_out_of_isrs(decision.draft, context, gone);
    for (const BrokerId id : gone) {
        add_fence(decision.draft, *context.image.cluster.broker(id));
    }
    return decision;
}

Decision<NoAnswer> fence_broker(Context& context, BrokerId id, BrokerEpoch epoch) {
    Decision<NoAnswer> decision(context);
    decision.atomic = false;
    const Broker* broker = context.image.cluster.broker(id);
    if (broker == nullptr || broker->epoch != epoch || broker->fenced) {
        return decision;
    }
    context.sessions.end(id);
    take_out_of_isrs(decision.draft, context, {id});
    add_fence(decision.draft, *broker);
    return decision;
}

}  // namespace millrace::metadata
