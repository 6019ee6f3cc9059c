#include "operator/plugin/screens.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <map>

#include "operator/kube/time_text.h"

namespace millrace::plugin {

namespace {

constexpr std::string_view margin = "  ";

std::string line(std::string_view name, const std::string& text) {
    return fmt::format("{}{:<10}{}\n", margin, name, text);
}

std::string ids(const std::vector<std::int32_t>& brokers) {
    std::string text;
    for (const std::int32_t id : brokers) {
        text += fmt::format("{}{}", text.empty() ? "" : ", ", id);
    }
    return text;
}

/// Conditions whose good answer is False.
bool is_good_when_false(std::string_view type) {
    constexpr std::array<std::string_view, 6> types{"Paused",
                                                    "Progressing",
                                                    "DataGap",
                                                    "Diverged",
                                                    "OperatorUpdateAvailable",
                                                    "TombstoneHorizonExceeded"};
    return std::find(types.begin(), types.end(), type) != types.end();
}

/// `told`: what stands on the screen already, and not a second time.
std::string attention(const std::vector<api::Condition>& conditions, const std::string& told) {
    std::vector<std::vector<std::string>> rows;
    for (const api::Condition& condition : conditions) {
        const bool good =
            condition.status == (is_good_when_false(condition.type) ? "False" : "True");
        // What is not offered or not asked for is nobody's to attend to.
        const bool is_off = condition.status == "Unknown" &&
                            (condition.reason == "Off" || condition.reason == "NotOffered");
        const bool is_told =
            !condition.message.empty() && told.find(condition.message) != std::string::npos;
        if (!good && !is_off && condition.type != "Progressing" &&
            !(condition.type == "Ready" && is_told)) {
            rows.push_back({fmt::format("{}={}", condition.type, condition.status),
                            condition.reason, is_told ? "" : condition.message});
        }
    }
    if (rows.empty()) {
        return {};
    }
    return "\n  Needs attention\n" + table(rows, "    ");
}

std::string head(const api::Cluster& cluster) {
    const api::ClusterStatus& status = cluster.status;
    std::string text = fmt::format(
        "Cluster {}/{}   {}   {}/{} brokers ready", cluster.metadata.space, cluster.metadata.name,
        status.phase.empty() ? "not seen by an operator yet" : status.phase, status.ready_replicas,
        api::total_replicas(cluster.spec));
    if (!status.version.empty()) {
        text += "   version " + status.version;
    }
    if (status.observed_generation != cluster.metadata.generation) {
        text += "   (the last edit is not taken up yet)";
    }
    text += '\n';
    if (status.observed_generation != cluster.metadata.generation) {
        text += line("operator",
                     fmt::format("should it stay so: is one there that watches namespace {}? "
                                 "kubectl get pods -A -l app.kubernetes.io/name=millrace-operator",
                                 cluster.metadata.space));
    }
    return status.message.empty() ? text : text + line("now", status.message);
}

std::string brokers(const api::ClusterStatus& status) {
    if (status.brokers.empty()) {
        return {};
    }
    std::vector<std::vector<std::string>> rows{
        {"BROKER", "POOL", "RACK", "STATE", "READY", "UPDATED", "WAITING FOR"}};
    std::vector<api::BrokerStatus> sorted = status.brokers;  // Who came later stands at the end.
    std::sort(sorted.begin(), sorted.end(),
              [](const auto& a, const auto& b) { return a.id < b.id; });
    for (const api::BrokerStatus& broker : sorted) {
        std::string state(api::to_string(broker.state));
        if (broker.recovery_percent) {
            state += fmt::format(" {}%", *broker.recovery_percent);
        }
        rows.push_back({std::to_string(broker.id), broker.pool,
                        broker.rack.empty() ? "?" : broker.rack, state, broker.ready ? "yes" : "no",
                        broker.updated ? "yes" : "no", broker.waiting_for});
    }
    return "\n" + table(rows, margin);
}

std::string rolling(const api::RollingStatus& status) {
    std::string text = fmt::format("{} {} of {}, {}", progress_bar(status.done, status.total),
                                   status.done, status.total, status.reason);
    if (!status.current.empty()) {
        text += "; down now: " + ids(status.current);
    }
    if (!status.waiting_for.empty()) {
        text += "; waits: " + status.waiting_for;
    }
    return line("rolling", text);
}

std::string moving(const api::RebalanceStatus& status, const std::string& told) {
    if (status.state == api::RebalanceState::idle) {
        return {};
    }
    const std::string blocked = status.blocked_by.empty() || status.blocked_by == told
                                    ? ""
                                    : "; blocked by " + status.blocked_by;
    if (status.moves.total == 0 && status.state == api::RebalanceState::blocked) {
        return line("moving", "nothing: " + status.trigger + blocked);
    }
    const bool by_bytes = status.bytes.total > 0;
    std::string text = fmt::format("{} {}",
                                   progress_bar(by_bytes ? status.bytes.done : status.moves.done,
                                                by_bytes ? status.bytes.total : status.moves.total),
                                   api::to_string(status.state));
    text += fmt::format(", {} of {} replicas", status.moves.done, status.moves.total);
    if (by_bytes) {
        text += fmt::format(", {} of {}", readable_bytes(status.bytes.done),
                            readable_bytes(status.bytes.total));
    }
    if (status.rate > 0) {
        text += fmt::format(", {}/s", readable_bytes(status.rate));
    }
    if (status.eta) {
        text += fmt::format(", {} left", status.eta->to_string());
    }
    return line("moving", text + blocked);
}

std::string quorum(const api::ClusterStatus& status) {
    if (!status.controllers || status.controllers->voters.empty()) {
        return {};
    }
    const std::string voters = ids(status.controllers->voters);
    return line("quorum",
                status.controllers->leader
                    ? fmt::format("controller {} of voters {}", *status.controllers->leader, voters)
                    : fmt::format("no controller answers; voters {}", voters));
}

std::string health(const api::HealthStatus& health, Timestamp now) {
    std::string age;
    if (!health.as_of.empty()) {
        const auto at = kube::parse_time(health.as_of);
        age =
            at && now >= *at
                ? fmt::format("unknown; {} ago: ",
                              api::Span(std::chrono::duration_cast<std::chrono::seconds>(now - *at))
                                  .to_string())
                : fmt::format("unknown; at {}: ", health.as_of);
    }
    return line("health",
                fmt::format("{}{} partitions offline, {} under min ISR, {} under-replicated, {} "
                            "crowd a rack",
                            age, health.offline_partitions, health.under_min_isr,
                            health.under_replicated, health.rack_violations));
}

std::string topics(const std::vector<api::Topic>& all) {
    if (all.empty()) {
        return {};
    }
    constexpr std::size_t names_shown = 3;
    std::size_t unready = 0;
    std::size_t read_only = 0;
    std::string which;
    std::map<std::string, std::vector<std::string>> read_only_because;
    for (const api::Topic& topic : all) {
        const api::Condition* writable = api::find_condition(topic.status.conditions, "Writable");
        if (writable != nullptr && writable->status == "False") {
            ++read_only;
            read_only_because[writable->message].push_back(topic.metadata.name);
        }
        const api::Condition* ready = api::find_condition(topic.status.conditions, "Ready");
        if (ready == nullptr || ready->status != "True") {
            ++unready;
            which += fmt::format("    {}: {}\n", topic.metadata.name,
                                 ready == nullptr         ? "not seen by an operator yet"
                                 : ready->message.empty() ? ready->reason
                                                          : ready->message);
        }
    }
    for (const auto& [why, names] : read_only_because) {
        const auto shown = std::min(names_shown, names.size());
        which += fmt::format(
            "    {}{}: {}\n",
            fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
            names.size() > shown ? fmt::format(" and {} more", names.size() - shown) : "", why);
    }
    return line("topics", (unready == 0 ? fmt::format("{}, all ready", all.size())
                                        : fmt::format("{}, {} not ready", all.size(), unready)) +
                              (read_only == 0   ? ""
                               : read_only == 1 ? ", 1 takes no writes"
                                                : fmt::format(", {} take no writes", read_only))) +
           which;
}

std::string links(const std::vector<api::MirrorLink>& all) {
    std::string text;
    for (const api::MirrorLink& link : all) {
        text +=
            line("mirror",
                 fmt::format(
                     "{}: {}, {} topics, {} behind", link.metadata.name,
                     link.status.state.empty() ? "not seen by an operator yet" : link.status.state,
                     link.status.summary.topics.empty() ? "no" : link.status.summary.topics,
                     link.status.summary.lag.empty() ? "unknown time" : link.status.summary.lag));
    }
    return text;
}

std::string seconds(double value) {
    return fmt::format("{:.1f} s", value);
}

}  // namespace

std::string progress_bar(std::int64_t done, std::int64_t total, std::size_t width) {
    const std::int64_t capped = std::clamp(done, std::int64_t{0}, std::max(total, std::int64_t{0}));
    const auto filled = total <= 0 ? std::size_t{0}
                                   : static_cast<std::size_t>(static_cast<double>(capped) /
                                                              static_cast<double>(total) *
                                                              static_cast<double>(width));
    return "[" + std::string(filled, '#') + std::string(width - filled, '-') + "]";
}

std::string readable_bytes(std::int64_t bytes) {
    constexpr std::array<std::string_view, 6> units{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (value >= 1024 && unit + 1 < units.size()) {
        value /= 1024;
        ++unit;
    }
    return value < 10 && unit > 0 ? fmt::format("{:.1f} {}", value, units[unit])
                                  : fmt::format("{:.0f} {}", value, units[unit]);
}

std::string table(const std::vector<std::vector<std::string>>& rows, std::string_view left) {
    std::map<std::size_t, std::size_t> widths;
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], row[i].size());
        }
    }
    std::string text;
    for (const auto& row : rows) {
        std::string out(left);
        for (std::size_t i = 0; i < row.size(); ++i) {
            out += row[i] + std::string(widths[i] - row[i].size() + 2, ' ');
        }
        out.erase(out.find_last_not_of(' ') + 1);
        text += out + '\n';
    }
    return text;
}

std::string status_screen(const ClusterView& view) {
    const api::ClusterStatus& status = view.cluster.status;
    std::string text = head(view.cluster);
    for (const api::ListenerStatus& listener : status.listeners) {
        text += line("clients",
                     fmt::format("{} ({}, {})",
                                 listener.bootstrap.empty() ? "no address yet" : listener.bootstrap,
                                 listener.name, api::to_string(listener.type)));
    }
    text += quorum(status);
    if (status.health) {
        text += health(*status.health, view.now);
    }
    text += topics(view.topics) + links(view.links);
    if (status.rolling) {
        text += rolling(*status.rolling);
    }
    if (status.rebalance) {
        text += moving(*status.rebalance, status.message);
    }
    return text + brokers(status) + attention(status.conditions, status.message);
}

std::string plan_screen(const api::Cluster& cluster) {
    const std::string name = cluster.metadata.space + "/" + cluster.metadata.name;
    if (!cluster.status.rebalance || cluster.status.rebalance->state == api::RebalanceState::idle) {
        const api::Condition* balanced = api::find_condition(cluster.status.conditions, "Balanced");
        return fmt::format(
            "Cluster {}: nothing moves and nothing is planned.{}\n", name,
            balanced == nullptr || balanced->message.empty() ? "" : "\n  " + balanced->message);
    }
    const api::RebalanceStatus& plan = *cluster.status.rebalance;
    std::string text = fmt::format("Cluster {}: {}\n", name, api::to_string(plan.state));
    if (!plan.trigger.empty()) {
        text += line("because", plan.trigger);
    }
    text += line("moves",
                 fmt::format("{} replicas, {}; no plan can do with fewer than {}", plan.moves.total,
                             readable_bytes(plan.bytes.total), plan.lower_bound));
    if (plan.state != api::RebalanceState::awaiting_approval) {
        text += moving(plan, "");
    } else {
        text += line("plan", plan.plan_hash);
        text += fmt::format("\n  kubectl millrace plan -n {} {} --approve {}\n",
                            cluster.metadata.space, cluster.metadata.name, plan.plan_hash);
    }
    return text;
}

Result<Approval> approval_of(const api::Cluster& cluster, const std::string& hash) {
    const std::string name = cluster.metadata.space + "/" + cluster.metadata.name;
    const std::string look = fmt::format("kubectl millrace plan -n {} {}", cluster.metadata.space,
                                         cluster.metadata.name);
    const auto refuse = [&](const std::string& why) {
        return Error::make(Code::invalid, "{}: {}nothing is approved; {}", name,
                           hash.empty() ? "" : fmt::format("plan {}: ", hash), why);
    };
    const auto& plan = cluster.status.rebalance;
    if (!plan || plan->state == api::RebalanceState::idle) {
        return refuse(cluster.status.observed_generation == cluster.metadata.generation
                          ? "nothing waits for approval"
                          : "the last edit is not taken up yet, see " + look);
    }
    const std::string& shown = plan->plan_hash;
    if (hash.empty() && cluster.status.observed_generation != cluster.metadata.generation) {
        return refuse("the last edit is not taken up yet: what is shown may be another plan");
    }
    // Whoever has the brokers' whole name of a plan means the same.
    const std::string meant = hash.substr(0, hash.find('/'));
    if (!hash.empty() && meant != shown) {
        return refuse(shown.empty() ? "what is shown is no plan: " + plan->blocked_by
                                    : fmt::format("the plan now is {} ({}), see {}", shown,
                                                  plan->trigger, look));
    }
    switch (plan->state) {
        case api::RebalanceState::awaiting_approval:
            return Approval{shown, fmt::format("approved: plan {} of {} ({}; {} replicas, {})\n",
                                               shown, name, plan->trigger, plan->moves.total,
                                               readable_bytes(plan->bytes.total))};
        case api::RebalanceState::blocked:
            return refuse("it is blocked by " + plan->blocked_by);
        default:
            return Approval{"", fmt::format("plan {} of {} runs already\n", shown, name)};
    }
}

std::string unreadable_screen(const std::vector<Unreadable>& objects) {
    std::vector<std::vector<std::string>> rows;
    for (const Unreadable& one : objects) {
        rows.push_back({one.what, one.why});
    }
    return rows.empty() ? "" : "Can't be read\n" + table(rows, margin);
}

std::string first_steps(const std::string& space) {
    const bool one = !space.empty();
    return fmt::format(
        "There is no Cluster{}{}. A first one:\n\nkubectl apply {}-f - <<YAML\n"
        "apiVersion: millrace.dev/v1\nkind: Cluster\nmetadata: {{name: main}}\n"
        "spec: {{replicas: 3, storage: {{size: 100Gi}}}}\nYAML\n",
        one ? " in namespace " + space : "",
        one ? " (-A shows all namespaces)" : " in any namespace", one ? "-n " + space + " " : "");
}

std::string mirror_screen(const api::MirrorLink& link) {
    const api::MirrorLinkStatus& status = link.status;
    std::string text = fmt::format(
        "MirrorLink {}/{}   {} -> {}   {}\n", link.metadata.space, link.metadata.name,
        status.summary.source.empty() ? "?" : status.summary.source, link.spec.cluster_ref.name,
        status.state.empty() ? "not seen by an operator yet" : status.state);
    if (!status.message.empty()) {
        text += line("now", status.message);
    }
    std::string states;
    for (const auto& [state, count] : status.topics_by_state) {
        states += fmt::format("{}{} {}", states.empty() ? "" : ", ", count, state);
    }
    text += line("topics",
                 fmt::format("{}{}", status.topics, states.empty() ? "" : " (" + states + ")"));
    text += line("behind",
                 fmt::format("{} and {} records; the target is {}", seconds(status.lag_seconds),
                             status.lag_records, link.spec.max_lag.to_string()));
    if (status.state != "Promoted") {
        text +=
            line("failover", fmt::format("forced now, it would lose the last {}; planned, nothing",
                                         seconds(status.rpo_seconds)));
    }
    if (!status.worst_topics.empty()) {
        std::vector<std::vector<std::string>> rows{{"TOPIC", "STATE", "BEHIND", "RECORDS", "WHY"}};
        for (const api::TopicLag& topic : status.worst_topics) {
            rows.push_back({topic.name, topic.state, seconds(topic.lag_seconds),
                            std::to_string(topic.lag_records), topic.reason});
        }
        text += "\n" + table(rows, margin);
    }
    if (!status.gaps.empty()) {
        std::vector<std::vector<std::string>> rows{{"NOT HERE", "FROM", "TO", "NOTICED", "WHY"}};
        for (const api::LinkGap& gap : status.gaps) {
            rows.push_back({fmt::format("{}-{}", gap.topic, gap.partition),
                            std::to_string(gap.from), std::to_string(gap.to), gap.at,
                            gap.cut ? "cut here, kept aside" : "the source had dropped them"});
        }
        text += "\n" + table(rows, margin);
        if (std::any_of(status.gaps.begin(), status.gaps.end(),
                        [](const api::LinkGap& gap) { return gap.cut; })) {
            text +=
                "  What was cut is kept in *.diverged.quarantined of the partition's directory "
                "(docs/mirror.md).\n";
        }
    }
    if (status.failover_report && status.failover_report->topics > 0) {
        const api::FailoverReport& report = *status.failover_report;
        text += fmt::format(
            "\n  Promoted {}: {} topics, {} partitions; {} records ({}) lost, {} group offsets set "
            "back, {} transactions aborted{}\n",
            report.at, report.topics, report.partitions, report.lost_records,
            seconds(report.lost_seconds), report.clamped_group_offsets, report.aborted_transactions,
            report.left_out_topics > 0
                ? fmt::format(", {} topics of the link left out", report.left_out_topics)
                : "");
    }
    return text + attention(status.conditions, status.message);
}

}  // namespace millrace::plugin
