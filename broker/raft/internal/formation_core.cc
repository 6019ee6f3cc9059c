// The first voter set of a new cluster, without a format step.
//
// A node without log and snapshot knows nothing but its configuration. It can't tell whether the
// cluster is new or its own disk was emptied, so it asks every configured controller. Only if all
// of them answer and all are as new as itself does the one with the lowest id take their ids and
// directories for the first voter set, stand for election with it and, as leader, write it into the
// log. Everyone else waits to be asked for a vote, or follows the leader it hears of. So an emptied
// disk never forms a second quorum beside a living one: at least one of those it must hear from
// knows better.
#include <algorithm>

#include "base/assert.h"
#include "raft/internal/core_impl.h"
#include "raft/internal/mutants.h"
#include "raft/quorum_config.h"

namespace millrace::raft {

namespace {

constexpr Duration answer_is_fresh = std::chrono::seconds(10);
constexpr Duration ask_every = std::chrono::milliseconds(200);

}  // namespace

bool RaftCore::Impl::is_forming() const {
    const bool is_new = log_end_ == Offset{0} && !snapshot_ && !history_.latest_offset();
    if (!config_.can_vote || !is_new) {
        return false;
    }
    if (!config_.static_voters.empty()) {
        return founder_of_list().key.id == config_.self.id;
    }
    return config_.bootstrap_servers.empty() ||
           std::any_of(
               config_.bootstrap_servers.begin(), config_.bootstrap_servers.end(),
               [&](const Endpoint& server) { return is_reached_at(config_.listeners, server); });
}

/// The lowest id of the list forms; the others wait to hear from it.
const Voter& RaftCore::Impl::founder_of_list() const {
    return *std::min_element(config_.static_voters.begin(), config_.static_voters.end(),
                             [](const Voter& a, const Voter& b) { return a.key.id < b.key.id; });
}

void RaftCore::Impl::start_forming() {
    Forming forming{.next_ask = now_};
    if (election_.voted == config_.self) {
        forming.stood = election_.epoch;
    }
    for (const Voter& voter : config_.static_voters) {
        forming.members.push_back(
            {.address = voter.listeners.empty() ? Endpoint{} : voter.listeners[0].endpoint,
             .expected = voter.key.id,
             .is_self = voter.key.id == config_.self.id});
    }
    if (config_.static_voters.empty()) {
        for (const Endpoint& server : config_.bootstrap_servers) {
            forming.members.push_back(
                {.address = server, .is_self = is_reached_at(config_.listeners, server)});
        }
    }
    if (forming.members.empty()) {
        forming.members.push_back({.is_self = true});
    }
    forming_ = std::move(forming);
}

void RaftCore::Impl::ask_members() {
    const bool still_new = log_end_ == Offset{0} && !history_.latest_offset();
    if (!still_new || leader() != no_broker) {
        if (!std::holds_alternative<Leader>(state_)) {
            forming_.reset();
            refresh_static_voters();
        }
        return;
    }
    if (forming_->formed) {
        forming_->next_ask = Instant::never();
        return;
    }
    if (forming_->next_ask <= now_) {
        forming_->next_ask = now_ + ask_every;
        for (std::size_t i = 0; i < forming_->members.size(); ++i) {
            Member& member = forming_->members[i];
            if (!member.is_self && !member.asking) {
                member.asking = true;
                const SendId id = send(Purpose::ask_member, member.expected, member.address,
                                       DescribeQuorumRequest{});
                in_flight_.at(id).address = i;
            }
        }
    }
    say_what_is_waited_for();
    form_if_complete();
}

void RaftCore::Impl::on_member_response(const InFlight& sent,
                                        const DescribeQuorumResponse& response) {
    if (forming_ && sent.address < forming_->members.size()) {
        Member& member = forming_->members[sent.address];
        member.asking = false;
        member.answered = now_;
        member.is_new = false;
        const bool speaks_for_itself =
            response.error != KafkaError::none && response.observers.size() == 1;
        if (speaks_for_itself) {
            const ReplicaProgress& self = response.observers[0];
            member.key = self.key;
            member.epoch = response.hint.epoch;
            // It may follow us still: we led it, and lost an unsynced log that nobody fetched.
            const bool follows_other =
                response.hint.leader != no_broker && response.hint.leader != config_.self.id;
            member.is_new = self.log_end == Offset{0} && response.voters.empty() && !follows_other;
            member.listeners.clear();
            for (const auto& [id, listeners] : response.nodes) {
                if (id == self.key.id) {
                    member.listeners = listeners;
                }
            }
        }
        if (!member.is_new) {
            ask_who_leads(member);
        }
    }
}

/// DescribeQuorum names no cluster, and who answers may be of another: what it knows of leaders and
/// epochs is learnt from the answer to a fetch, which does.
void RaftCore::Impl::ask_who_leads(const Member& member) {
    if (auto* state = std::get_if<Unattached>(&state_); state != nullptr && !state->fetch) {
        state->fetch =
            send(Purpose::fetch, member.expected, member.address, make_fetch(Duration{0}));
    }
}

void RaftCore::Impl::on_member_failed(const InFlight& sent) {
    if (forming_ && sent.address < forming_->members.size()) {
        forming_->members[sent.address].asking = false;
    }
}

void RaftCore::Impl::form_if_complete() {
    std::vector<Voter> found{{config_.self, config_.listeners, config_.kraft_version}};
    for (const Member& member : forming_->members) {
        if (member.is_self) {
            continue;
        }
        if (!is_there(member)) {
            if (MR_MUTANT(form_without_asking_everyone)) {
                continue;
            }
            return;
        }
        auto listeners = member.listeners;
        if (listeners.empty()) {
            const std::string name =
                config_.listeners.empty() ? "CONTROLLER" : config_.listeners[0].name;
            listeners.push_back({name, member.address});
        }
        found.push_back({member.key, std::move(listeners), config_.kraft_version});
    }
    const bool is_lowest = std::all_of(found.begin(), found.end(), [&](const Voter& voter) {
        return config_.self.id <= voter.key.id;
    });
    auto* unattached = std::get_if<Unattached>(&state_);
    if (!is_lowest || unattached == nullptr) {
        return;
    }
    forming_->formed = true;
    forming_->next_ask = Instant::never();
    history_.set_fallback(VoterSet(std::move(found)));
    notice("raft.forming", voters().to_string());
    stand_for_pre_vote();
}

bool RaftCore::Impl::Member::is_expected() const {
    return expected == no_broker ? is_reached_at(listeners, address) : key.id == expected;
}

bool RaftCore::Impl::has_answered(const Member& member) const {
    return member.answered != Instant{0} && member.answered + answer_is_fresh > now_;
}

/// Nobody may have been in an epoch that we did not stand in: it was for a quorum that our
/// directory did not form.
bool RaftCore::Impl::may_join(const Member& member) const {
    return member.is_new && member.epoch <= forming_->stood;
}

/// Whether another one before it, or this node, has its id.
bool RaftCore::Impl::is_twice(const Member& member) const {
    return member.key.id == config_.self.id ||
           std::any_of(forming_->members.begin(), forming_->members.end(), [&](const Member& one) {
               return &one < &member && one.is_new && one.key.id == member.key.id;
           });
}

bool RaftCore::Impl::is_there(const Member& member) const {
    return has_answered(member) && may_join(member) && member.is_expected() && !is_twice(member);
}

std::string RaftCore::Impl::missing_members() const {
    std::string text;
    for (const Member& member : forming_->members) {
        if (member.is_self || is_there(member)) {
            continue;
        }
        text += text.empty() ? "" : ", ";
        if (member.expected != no_broker) {
            text += fmt::format("{}@", member.expected);
        }
        text += member.address.to_string();
        if (!has_answered(member)) {
            text += " (no answer)";
        } else if (may_join(member) && is_twice(member)) {
            text += fmt::format(" (says that it is node {}, as another one does)", member.key.id);
        } else if (may_join(member) && member.expected != no_broker) {
            text += fmt::format(" (says that it is node {}: see node.id there)", member.key.id);
        } else if (may_join(member)) {
            text += fmt::format(
                " (leads to node {}, which calls itself {})", member.key.id,
                member.listeners.empty() ? "nothing" : member.listeners[0].endpoint.to_string());
        } else {
            text += member.epoch > forming_->stood ? " (voted for another quorum)"
                                                   : " (not a new controller of this list)";
        }
    }
    return text;
}

}  // namespace millrace::raft
