// Bringing brokers to what the spec says now, one step at a time.
#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <optional>

#include "operator/planner/internal/draft.h"

namespace millrace::planner {

namespace {

/// It doesn't serve and won't with what it was made with: replacing it takes nothing from anybody.
bool is_hopeless(const Draft& draft, int id) {
    const PodFacts& pod = draft.pods.at(id);
    const brokers::BrokerFacts* facts = draft.broker(id);
    const bool serves = facts != nullptr && (facts->state == brokers::BrokerState::running ||
                                             facts->state == brokers::BrokerState::recovering);
    if (pod.ready || serves) {
        return false;
    }
    // Settings are written for the revision that is wanted now: its own will never come.
    const bool has_settings =
        draft.find(draft.world.config_maps, render::config_name(draft.name(), id, pod.revision)) !=
        nullptr;
    return !pod.trouble.empty() || (pod.is_being_made && !has_settings);
}

/// Unready ones first, then who is awaited as a voter (two that vote can spare none of them), then
/// by id, the active controller last.
std::vector<int> in_turn(const Draft& draft) {
    std::vector<int> ids;
    for (const auto& [id, member] : draft.running) {
        // Who leaves isn't brought up to date, but made anew where it can't start.
        const bool stays = draft.membership.wanted.contains(id);
        if (draft.is_outdated(id) && !draft.pods.at(id).going &&
            (stays || is_hopeless(draft, id))) {
            ids.push_back(id);
        }
    }
    const int controller = draft.world.brokers ? draft.world.brokers->controller : -1;
    const auto rank = [&](int id) {
        if (!draft.pods.at(id).ready) {
            return 0;
        }
        const auto& voters = draft.membership.wanted_voters;
        const bool is_awaited =
            std::find(voters.begin(), voters.end(), id) != voters.end() && !draft.votes(id);
        return id == controller ? 3 : is_awaited ? 1 : 2;
    };
    std::sort(ids.begin(), ids.end(),
              [&](int a, int b) { return std::pair(rank(a), a) < std::pair(rank(b), b); });
    return ids;
}

bool is_held(const Draft& draft, int id) {
    const auto& hold = draft.world.cluster.spec.rolling.hold;
    return std::find(hold.begin(), hold.end(), id) != hold.end();
}

/// Partitions that can't survive any restart (one replica, or min ISR equal to it) don't hold up a
/// roll for ever, unless the spec says so. Only asked while everybody is in sync.
bool may_go_on(const Draft& draft, const brokers::RestartVerdict& verdict) {
    if (verdict.allowed) {
        return true;
    }
    const bool allow =
        draft.world.cluster.spec.rolling.unsafe_partitions == api::UnsafePartitions::allow;
    const bool lone_voter = draft.membership.voters.size() <= 1;
    return allow && !verdict.other && (!verdict.quorum || lone_voter) &&
           (verdict.partitions || verdict.quorum);
}

void restart(Draft& draft, int id, const std::string& why) {
    draft.act(Lane::roll, draft.removal(kube::pods, *draft.pods.at(id).object), "BrokerRestarted",
              why, true);
}

/// How long until a window opens; zero inside of one, or where there are none. Windows are in UTC
/// and may reach over midnight.
Duration until_window(const std::vector<api::RollingWindow>& windows, Timestamp now) {
    constexpr std::array<std::string_view, 7> names = {"Thu", "Fri", "Sat", "Sun",
                                                       "Mon", "Tue", "Wed"};
    constexpr std::int64_t day = 24 * 3600 * 1000;
    std::int64_t best = INT64_MAX;
    for (const api::RollingWindow& window : windows) {
        int hour = 0;
        int minute = 0;
        std::from_chars(window.from.data(), window.from.data() + 2, hour);
        std::from_chars(window.from.data() + 3, window.from.data() + window.from.size(), minute);
        // 1970 began on a Thursday. Yesterday's may still be open; a week ahead has every day.
        const std::int64_t today = now.milliseconds / day;
        for (std::int64_t at = today - 7; at <= today + 7; ++at) {
            const std::string_view name = names[static_cast<std::size_t>(at % 7)];
            if (!window.days.empty() &&
                std::find(window.days.begin(), window.days.end(), name) == window.days.end()) {
                continue;
            }
            const std::int64_t opens = at * day + (hour * 60 + minute) * std::int64_t{60'000};
            if (now.milliseconds >= opens &&
                now.milliseconds < opens + window.length.length.count()) {
                return Duration{0};
            }
            if (opens > now.milliseconds) {
                best = std::min(best, opens - now.milliseconds);
            }
        }
    }
    return windows.empty() ? Duration{0} : Duration(std::chrono::milliseconds(best));
}

/// The rest of the spec's conditions; empty: it may begin now.
std::string not_now(Draft& draft) {
    if (!draft.world.brokers) {
        return "no broker answers";
    }
    if (const Duration wait =
            until_window(draft.world.cluster.spec.rolling.windows, draft.world.now);
        wait > Duration{0}) {
        draft.plan.again = wait;
        draft.roll_rests = true;
        return "spec.rolling.windows: none is open now";
    }
    return "";
}

/// What Kubernetes refuses to run costs nobody a broker: it is asked before the old pod goes.
bool is_taken(Draft& draft, int id) {
    const auto answer = draft.world.answers.pods.find(id);
    if (answer == draft.world.answers.pods.end()) {
        draft.plan.questions.emplace_back(
            AskPod{id, render::pod(draft.subject, draft.membership.wanted.at(id))});
        return false;
    }
    if (!answer->second.empty()) {
        draft.roll_waits = fmt::format(
            "broker {} keeps its old pod, the new one would be refused: {}", id, answer->second);
        draft.roll_refused = true;
        draft.plan.again = 5s;  // What refuses it may be no object of ours.
        return false;
    }
    return true;
}

/// Asks the brokers and Kubernetes, and restarts it if they and the spec say so.
void try_restart(Draft& draft, int id) {
    if (std::string wait = not_now(draft); !wait.empty()) {
        draft.roll_waits = std::move(wait);
        return;
    }
    if (const auto wait = draft.unwritten.find(id); wait != draft.unwritten.end()) {
        draft.roll_waits = fmt::format("broker {}: {}", id, wait->second);
        return;  // It would be down until that is known.
    }
    const AskRestart question{{id}};
    const auto answer = draft.world.answers.restart.find(question);
    if (answer == draft.world.answers.restart.end()) {
        draft.plan.questions.emplace_back(question);
        return;
    }
    if (!answer->second.value) {
        draft.roll_waits = answer->second.error;
        draft.plan.again = 2s;
        return;
    }
    if (!may_go_on(draft, *answer->second.value)) {
        draft.roll_waits = answer->second.value->reason;
        draft.plan.again = 5s;  // The health stream tells sooner, if it is about partitions.
        return;
    }
    if (is_taken(draft, id)) {
        restart(draft, id, fmt::format("broker {} gets the revision that the spec wants", id));
    }
}

/// Somebody runs well with what the spec wants now: only then others of a rack follow together.
bool is_proven(const Draft& draft) {
    return std::any_of(
        draft.membership.wanted.begin(), draft.membership.wanted.end(), [&](const auto& member) {
            const int id = member.first;
            return draft.pods.contains(id) && !draft.is_outdated(id) && !draft.ledger.is_down(id);
        });
}

/// The next to restart: the first that the ledger lets go. While somebody is down that is one of
/// the same rack, and only once the revision is proven; the active controller never goes early.
std::optional<int> next_of(Draft& draft, const std::vector<int>& turn) {
    const bool alone = draft.ledger.down().empty();
    for (const int id : turn) {
        const bool is_controller = draft.world.brokers && draft.world.brokers->controller == id;
        if (is_controller && turn.size() > 1) {
            continue;
        }
        std::string refusal = draft.ledger.refusal(id);
        const bool replaces_itself = draft.ledger.is_down(id) && draft.ledger.down().size() == 1;
        if (refusal.empty() && (alone || replaces_itself || is_proven(draft))) {
            draft.roll_waits.clear();
            return id;
        }
        if (draft.roll_waits.empty()) {
            draft.roll_waits = refusal.empty()
                                   ? "the first broker with the new revision is not back yet"
                                   : refusal;
        }
    }
    return std::nullopt;
}

}  // namespace

void plan_roll(Draft& draft) {
    std::vector<int> held;
    std::vector<int> turn;
    std::string doomed;
    for (const int id : in_turn(draft)) {
        if (is_held(draft, id)) {
            held.push_back(id);
        } else if (const auto disk = draft.doomed_disks.find(id);
                   disk != draft.doomed_disks.end()) {
            doomed = fmt::format("broker {}: {}", id, disk->second);
        } else if (is_hopeless(draft, id)) {
            const std::string& trouble = draft.pods.at(id).trouble;
            restart(draft, id,
                    fmt::format("broker {} doesn't start as it is: {}", id,
                                trouble.empty()
                                    ? "its settings were not written before the spec changed"
                                    : trouble));
            return;
        } else {
            turn.push_back(id);
        }
    }
    if (turn.empty()) {
        draft.roll_waits = std::move(doomed);
        if (!held.empty()) {
            std::sort(held.begin(), held.end());
            draft.roll_rests = true;
            draft.roll_waits =
                fmt::format("spec.rolling.hold keeps {} {}",
                            held.size() == 1 ? "broker" : "brokers", fmt::join(held, ", "));
        }
        return;
    }
    if (const auto next = next_of(draft, turn)) {
        try_restart(draft, *next);
    }
}

}  // namespace millrace::planner
