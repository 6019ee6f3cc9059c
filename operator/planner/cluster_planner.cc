#include "operator/planner/cluster_planner.h"

#include <charconv>
#include <fmt/core.h>

#include "base/overloaded.h"
#include "operator/planner/internal/draft.h"
#include "operator/render/broker_config.h"

namespace millrace::planner {

namespace {

/// Of topics that nobody says more about no write with acks=all would succeed.
void check_defaults(const api::ClusterSpec& spec, std::vector<std::string>& problems) {
    const api::TopicDefaults& defaults = spec.topics.defaults;
    const auto setting = [&](const char* key) -> std::optional<std::int32_t> {
        const auto found = spec.config.find(key);
        std::int32_t number = 0;
        if (found == spec.config.end() ||
            std::from_chars(found->second.data(), found->second.data() + found->second.size(),
                            number)
                    .ec != std::errc()) {
            return std::nullopt;
        }
        return number;
    };
    const auto replicas =
        defaults.replicas ? defaults.replicas : setting("default.replication.factor");
    const auto in_config = setting("min.insync.replicas");
    const auto wanted = defaults.min_in_sync_replicas ? defaults.min_in_sync_replicas : in_config;
    // Both in spec.topics.defaults is a rule of the kind.
    const bool is_told = defaults.replicas && defaults.min_in_sync_replicas;
    if (replicas && wanted && *wanted > *replicas && !is_told) {
        problems.push_back(
            fmt::format("{}: {} is more than the {} replicas of a topic that doesn't say: no write "
                        "with acks=all would succeed; write {} or less",
                        defaults.min_in_sync_replicas ? "spec.topics.defaults.minInSyncReplicas"
                                                      : "spec.config[min.insync.replicas]",
                        *wanted, *replicas, *replicas));
    }
}

}  // namespace

std::vector<std::string> problems_of(const World& world) {
    const api::ClusterSpec& spec = world.cluster.spec;
    std::vector<std::string> problems;
    for (const render::Problem& problem : render::check_config(spec.config)) {
        problems.push_back(problem.field + ": " + problem.message);
    }
    check_defaults(spec, problems);
    if (world.around.one_version && spec.version && *spec.version != world.around.version) {
        problems.push_back(
            fmt::format("spec.version: {} is not here: local mode runs the brokers that it came "
                        "with, Millrace {}; remove the line",
                        *spec.version, world.around.version));
    }
    for (const api::PoolSpec& pool : spec.pools) {
        if (pool.name == api::controllers_name) {
            problems.push_back(fmt::format(
                "spec.pools[{}]: dedicated controllers have this name: choose another", pool.name));
        }
    }
    if (spec.rolling.revision &&
        (*spec.rolling.revision < 1 || *spec.rolling.revision > render::newest_template)) {
        problems.push_back(fmt::format("spec.rolling.revision: this operator knows 1 to {}",
                                       render::newest_template));
    }
    return problems;
}

Plan plan_cluster(const World& world) {
    Draft draft(world);
    draft.problems = world.refused_edit.empty() ? problems_of(world) : world.refused_edit;
    const bool act = (draft.problems.empty() || !world.refused_edit.empty()) &&
                     !world.cluster.spec.paused &&
                     world.cluster.metadata.deletion_timestamp.empty();
    if (act) {
        plan_services(draft);
        plan_links_key(draft);
        plan_certificates(draft);
        plan_volumes(draft);
        plan_pods(draft);
        plan_configs(draft);
        plan_scale(draft);
        plan_quorum(draft);
        // A roll and a step of leaving would be two disruptions: one waits.
        bool disrupts = false;
        for (const Action& action : draft.plan.actions) {
            disrupts |= action.needs_fresh_look;
        }
        if (!disrupts) {
            plan_roll(draft);
        }
        plan_garbage(draft);
    } else {
        remember_scale(draft);
    }
    fill_status(draft);
    return std::move(draft.plan);
}

namespace {

std::string step_text(RenewAuthority::Step step) {
    switch (step) {
        case RenewAuthority::Step::introduce:
            return "introduce the next certificate authority";
        case RenewAuthority::Step::put_in_charge:
            return "put the next certificate authority in charge";
        default:
            return "retire the old certificate authority";
    }
}

}  // namespace

std::string name_of(const Action& action) {
    const auto name = [](const Json& object) {
        return fmt::format("{} {}", object["kind"].text(), object["metadata"]["name"].text());
    };
    return std::visit(
        Overloaded{
            [&](const Apply& act) { return "apply " + name(act.object); },
            [&](const Create& act) { return "create " + name(act.object); },
            [](const Remove& act) {
                return fmt::format("delete {} {}", act.kind.kind, act.key.name);
            },
            [](const Cordon& act) {
                return fmt::format("{} {} brokers", act.cordoned ? "cordon" : "uncordon",
                                   act.brokers.size());
            },
            [](const CordonVolumes& act) {
                return fmt::format("cordon {} volumes of broker {}", act.paths.size(), act.broker);
            },
            [](const Unregister& act) { return fmt::format("unregister broker {}", act.broker); },
            [](const StartPlan& act) {
                return (act.throttle > 0 ? "throttle plan " : "start plan ") + act.hash;
            },
            [](const CancelPlan& act) { return "cancel plan " + act.hash; },
            [](const AddVoter& act) { return fmt::format("add voter {}", act.node.id); },
            [](const RemoveVoter& act) { return fmt::format("remove voter {}", act.node.id); },
            [](const IssueAuthority&) -> std::string { return "make a certificate authority"; },
            [](const IssueLinksKey&) -> std::string { return "make a key for links"; },
            [](const RenewAuthority& act) { return step_text(act.step); },
            [](const IssueCertificate& act) { return "issue certificate " + act.secret; },
            [](const Hurry& act) { return "annotate Pod " + act.pod.name; },
            [](const Adopt& act) {
                return fmt::format("adopt {} {}", act.kind.kind, act.key.name);
            },
            [](const NoteTold& act) {
                return "note settings on PersistentVolumeClaim " + act.claim.name;
            },
            [](const UpdateTrust& act) { return "apply trusted authorities " + act.secret; },
            [](const AlterDefaults& act) {
                return fmt::format("alter {} settings of running brokers",
                                   act.change.set.size() + act.change.remove.size());
            },
        },
        action.act);
}

std::string to_string(const Action& action) {
    return name_of(action) + ": " + action.why;
}

}  // namespace millrace::planner
