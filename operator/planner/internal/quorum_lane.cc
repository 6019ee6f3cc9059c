// Who votes in the metadata quorum: one change at a time. A voter that leaves is replaced first.
#include <algorithm>
#include <fmt/core.h>

#include "operator/planner/internal/draft.h"

namespace millrace::planner {

namespace {

using brokers::QuorumNode;

const QuorumNode* find_node(const std::vector<QuorumNode>& nodes, int id) {
    const auto found = std::find_if(nodes.begin(), nodes.end(),
                                    [id](const QuorumNode& one) { return one.id == id; });
    return found == nodes.end() ? nullptr : &*found;
}

void remove(Draft& draft, const QuorumNode& voter, std::string why) {
    draft.act(Lane::quorum, RemoveVoter{voter}, "VoterRemoved", std::move(why), true);
}

/// Why a broker can't become a voter yet; empty: it can.
std::string not_ready_to_vote(const Draft& draft, int id, const QuorumNode* follows) {
    const auto pod = draft.pods.find(id);
    if (pod == draft.pods.end() || pod->second.going) {
        return "it has no pod yet";
    }
    if (draft.is_outdated(id)) {
        return "it is restarted as a controller first";
    }
    return follows == nullptr ? "it doesn't follow the quorum yet" : "";
}

void add(Draft& draft, int id, const brokers::QuorumFacts& now) {
    const QuorumNode* follows = find_node(now.observers, id);
    if (const std::string wait = not_ready_to_vote(draft, id, follows); !wait.empty()) {
        draft.quorum_waits =
            fmt::format("broker {} is to vote in the metadata quorum: {}", id, wait);
        draft.plan.again = 1s;  // Following the quorum is no news of the brokers' health.
        return;
    }
    const auto pod = draft.pods.find(id);
    draft.act(
        Lane::quorum,
        AddVoter{*follows, fmt::format("{}:{}", render::host_of(draft.subject, id, pod->second.ip),
                                       api::owned_port::controller)},
        "VoterAdded", fmt::format("broker {} votes in the metadata quorum from now on", id));
    draft.plan.again = 1s;
}

/// Why a voter can't go yet; empty: it can.
std::string not_ready_to_go(const Draft& draft, int id, const brokers::QuorumFacts& now) {
    if (!draft.membership.leaving.empty() && !draft.membership.leaving.contains(id)) {
        return "others leave first";  // It would be restarted for it.
    }
    for (const QuorumNode& other : now.voters) {
        const Standing* standing = draft.ledger.find(other.id);
        if (other.id != id && (standing == nullptr || !standing->up)) {
            return fmt::format("voter {} is not up", other.id);
        }
    }
    return "";
}

}  // namespace

void plan_quorum(Draft& draft) {
    if (!draft.world.brokers) {
        return;
    }
    const auto& answer = draft.world.answers.quorum;
    if (!answer) {
        draft.plan.questions.emplace_back(AskQuorum{});
        return;
    }
    if (!answer->value) {
        return;  // An election, most likely: its end is news.
    }
    const brokers::QuorumFacts& now = *answer->value;
    for (const QuorumNode& voter : now.voters) {
        const QuorumNode* follows = find_node(now.observers, voter.id);
        if (follows != nullptr && follows->directory != voter.directory) {
            remove(draft, voter,
                   fmt::format("broker {} has come back with another disk: the old one's vote goes",
                               voter.id));
            return;
        }
    }
    const auto& wanted = draft.membership.wanted_voters;
    for (const int id : wanted) {
        if (find_node(now.voters, id) == nullptr) {
            add(draft, id, now);
            return;
        }
    }
    for (const QuorumNode& voter : now.voters) {
        if (std::find(wanted.begin(), wanted.end(), voter.id) != wanted.end()) {
            continue;
        }
        if (const std::string wait = not_ready_to_go(draft, voter.id, now); !wait.empty()) {
            draft.quorum_waits = fmt::format("broker {} goes on voting: {}", voter.id, wait);
            continue;
        }
        remove(draft, voter, fmt::format("broker {} need not vote any more", voter.id));
        return;
    }
}

}  // namespace millrace::planner
