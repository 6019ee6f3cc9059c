// Where the others are. The voters on record say it with their addresses, but whoever changes the
// addresses of several nodes at once, or starts an old file again, leaves a record that leads
// nowhere, and without a majority it can't be corrected. So a voter that does not answer where the
// record has it is looked for where the configuration has it, and at the servers that are known by
// address alone. A request names the voter it is for; whoever else is there says so.
#include <algorithm>

#include "raft/internal/core_impl.h"
#include "raft/internal/mutants.h"
#include "raft/quorum_config.h"

namespace millrace::raft {

namespace {

constexpr Duration least_impostor_patience = std::chrono::seconds(3);
constexpr Duration notice_every = std::chrono::seconds(10);

}  // namespace

std::optional<Endpoint> RaftCore::Impl::default_endpoint(const Voter* voter) const {
    if (voter == nullptr || voter->listeners.empty()) {
        return std::nullopt;
    }
    for (const Listener& listener : voter->listeners) {
        if (!config_.listeners.empty() && listener.name == config_.listeners[0].name) {
            return listener.endpoint;
        }
    }
    return voter->listeners[0].endpoint;
}

const Voter* RaftCore::Impl::configured(BrokerId node) const {
    const auto found = std::find_if(config_.static_voters.begin(), config_.static_voters.end(),
                                    [&](const Voter& voter) { return voter.key.id == node; });
    return found == config_.static_voters.end() ? nullptr : &*found;
}

std::vector<Endpoint> RaftCore::Impl::addresses_of(BrokerId node) const {
    std::vector<Endpoint> addresses;
    const auto add = [&](const Endpoint& address) {
        if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
            addresses.push_back(address);
        }
    };
    if (node == no_broker) {
        return addresses;
    }
    const auto recorded = default_endpoint(voters().find(node));
    if (recorded) {
        add(*recorded);
        if (MR_MUTANT(recorded_addresses_only)) {
            return addresses;
        }
    }
    if (const auto listed = default_endpoint(configured(node))) {
        add(*listed);
    }
    for (const Endpoint& server : config_.bootstrap_servers) {
        const bool is_anothers = std::any_of(
            voters().voters().begin(), voters().voters().end(), [&](const Voter& voter) {
                return voter.key.id != node && voter.key.id != config_.self.id &&
                       !doubted_.contains(voter.key.id) && default_endpoint(&voter) == server;
            });
        if (recorded && !is_anothers && !is_reached_at(config_.listeners, server)) {
            add(server);
        }
    }
    return addresses;
}

std::optional<Endpoint> RaftCore::Impl::endpoint_of(BrokerId node) const {
    const auto addresses = addresses_of(node);
    if (addresses.empty()) {
        return std::nullopt;
    }
    const auto turn = turns_.find(node);
    return addresses[turn == turns_.end() ? 0 : turn->second % addresses.size()];
}

void RaftCore::Impl::note_absent(const InFlight& sent) {
    if (default_endpoint(voters().find(sent.node)) == sent.to) {
        doubted_.insert(sent.node);
    }
    if (endpoint_of(sent.node) == sent.to && addresses_of(sent.node).size() > 1) {
        ++turns_[sent.node];
    }
}

/// An answer to a request that names whom it is for. False if somebody else gave it.
bool RaftCore::Impl::note_answered(const InFlight& sent, KafkaError error) {
    const bool is_of_another =
        error == KafkaError::invalid_voter_key || error == KafkaError::inconsistent_cluster_id;
    if (is_of_another) {
        note_absent(sent);
        return addresses_of(sent.node).size() == 1;  // Then it is itself, with another disk.
    }
    if (default_endpoint(voters().find(sent.node)) == sent.to) {
        doubted_.erase(sent.node);
    }
    return true;
}

// ---- Who we take for ourselves ------------------------------------------------------------------

bool RaftCore::Impl::is_here(const Endpoint& address) const {
    return std::any_of(config_.listeners.begin(), config_.listeners.end(),
                       [&](const Listener& listener) { return listener.endpoint == address; });
}

/// As long as a leader takes to be missed, and its successor to be heard of.
Duration RaftCore::Impl::impostor_patience() const {
    return std::max(least_impostor_patience, 2 * config_.fetch_timeout);
}

void RaftCore::Impl::note_followed_as_us(const LeaderHint& hint) {
    const bool is_news = hint.leader == config_.self.id && hint.epoch >= election_.epoch &&
                         !hint.endpoint.empty() && !config_.listeners.empty() &&
                         !is_here(hint.endpoint);
    if (!is_news) {
        return;
    }
    if (hint.epoch > election_.epoch && voters().contains(config_.self)) {
        // We put on record each epoch that we stand in before anybody hears of it.
        halt(
            fmt::format("another process at {} leads as node {}, in epoch {}, of which this one "
                        "knows nothing: both run with one node.id, and perhaps with copies of one "
                        "directory. Stop one of them; if this is the one to stay, start it again "
                        "then, else give it a node.id of its own and an empty log.dirs",
                        hint.endpoint.to_string(), config_.self.id, hint.epoch));
        return;
    }
    if (std::holds_alternative<Leader>(state_)) {
        return;
    }
    // Who comes back at another address is remembered at the former one until it is missed.
    const Duration patience = impostor_patience();
    if (!impostor_ || impostor_->address != hint.endpoint || impostor_->heard + patience < now_) {
        impostor_ = Impostor{.address = hint.endpoint, .next_notice = now_ + patience};
    }
    impostor_->heard = now_;
    if (impostor_->next_notice <= now_) {
        impostor_->is_certain = true;
        impostor_->next_notice = now_ + notice_every;
        notice("raft.followed_elsewhere", text_of_impostor(), true);
    }
}

std::string RaftCore::Impl::text_of_impostor() const {
    return fmt::format(
        "the voters follow node {} at {}, which is not here: another process runs with this "
        "node.id, or with a copy of this directory. Stop one of them, or give this one a node.id "
        "of its own and an empty log.dirs",
        config_.self.id, impostor_->address.to_string());
}

// ---- What is waited for -------------------------------------------------------------------------

std::string RaftCore::Impl::why_no_leader() const {
    if (leader() != no_broker) {
        return {};
    }
    if (impostor_ && impostor_->is_certain && impostor_->heard + impostor_patience() >= now_) {
        return text_of_impostor();
    }
    if (forming_ && !forming_->formed) {
        const std::string missing = missing_members();
        return missing.empty() ? missing
                               : "a new cluster forms once all of its controllers answer; "
                                 "missing: " +
                                     missing;
    }
    const bool is_new = log_end_ == Offset{0} && !snapshot_ && voters().empty();
    if (is_new && !config_.static_voters.empty()) {
        const Voter& founder = founder_of_list();
        return fmt::format(
            "this directory is new: node {} at {} forms the cluster, as it has the lowest id of "
            "controller.quorum.voters, once all of them answer it",
            founder.key.id, default_endpoint(&founder).value_or(Endpoint{}).to_string());
    }
    if (is_new) {
        return "this directory is new, and none of controller.quorum.bootstrap.servers says who "
               "leads: a new cluster forms once all of them answer the one with the lowest node.id";
    }
    return {};
}

void RaftCore::Impl::say_what_is_waited_for() {
    if (next_waiting_notice_ > now_) {
        return;
    }
    next_waiting_notice_ = now_ + notice_every;
    if (const std::string why = why_no_leader(); !why.empty()) {
        notice("raft.waiting_to_form", why);
    }
}

}  // namespace millrace::raft
