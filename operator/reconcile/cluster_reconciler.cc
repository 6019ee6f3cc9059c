#include "operator/reconcile/cluster_reconciler.h"

#include <algorithm>
#include <fmt/core.h>

#include "base/overloaded.h"
#include "operator/kube/base64.h"
#include "operator/kube/time_text.h"
#include "operator/render/names.h"

namespace millrace::reconcile {

namespace {

using kube::Json;
using kube::ObjectKey;
using kube::ObjectPtr;
using planner::Action;
using planner::Plan;
using planner::World;

constexpr Duration ask_again_after = 60s;
constexpr int most_questions = 4;  ///< Rounds of asking within one reconcile.

std::map<std::string, planner::NodeFacts> node_facts(const std::vector<ObjectPtr>& nodes,
                                                     const std::string& topology_key) {
    std::map<std::string, planner::NodeFacts> facts;
    for (const ObjectPtr& node : nodes) {
        planner::NodeFacts& one = facts[(*node)["metadata"]["name"].text()];
        one.zone = (*node)["metadata"]["labels"][topology_key].text();
        for (const Json& address : (*node)["status"]["addresses"].items()) {
            const std::string& type = address["type"].text();
            if (type == "ExternalIP" || (type == "InternalIP" && one.address.empty())) {
                one.address = address["address"].text();
            }
        }
    }
    return facts;
}

template <typename T>
planner::Answer<T> to_answer(const Result<T>& result) {
    planner::Answer<T> answer;
    if (result) {
        answer.value = *result;
    } else {
        answer.error = result.error().message();
        answer.unsupported = result.error().code() == Code::unsupported;
    }
    return answer;
}

Result<void> dropped(Result<Json> result) {
    if (!result) {
        return result.error();
    }
    return {};
}

/// Trying again won't help: somebody has to change something.
bool is_refusal(Code code) {
    return code == Code::permission || code == Code::invalid;
}

planner::Refusal as_refusal(const Action& action, const Error& error) {
    planner::Refusal refusal;
    refusal.text = error.with_context(planner::name_of(action)).message();
    const Json* object = nullptr;
    if (const auto* apply = std::get_if<planner::Apply>(&action.act)) {
        object = &apply->object;
    } else if (const auto* create = std::get_if<planner::Create>(&action.act)) {
        object = &create->object;
    }
    if (object != nullptr) {
        refusal.kind = (*object)["kind"].text();
        refusal.broker = planner::broker_of(*object).value_or(-1);
    }
    return refusal;
}

/// What events are about.
Json reference_to(const World& world) {
    Json about = Json::object({{"apiVersion", "millrace.dev/v1"}, {"kind", "Cluster"}});
    about["metadata"] = Json::object({{"name", world.cluster.metadata.name},
                                      {"namespace", world.cluster.metadata.space},
                                      {"uid", world.cluster.metadata.uid}});
    return about;
}

std::string call_of(const planner::Act& act) {
    return std::visit(
        Overloaded{
            [](const planner::Cordon& one) -> std::string {
                return one.cordoned ? "Cordon" : "Uncordon";
            },
            [](const planner::CordonVolumes&) -> std::string { return "AlterConfigs"; },
            [](const planner::Unregister&) -> std::string { return "UnregisterBroker"; },
            [](const planner::StartPlan&) -> std::string { return "ApplyPlan"; },
            [](const planner::CancelPlan&) -> std::string { return "CancelPlan"; },
            [](const planner::AddVoter&) -> std::string { return "AddVoter"; },
            [](const planner::RemoveVoter&) -> std::string { return "RemoveVoter"; },
            [](const auto&) -> std::string { return ""; },
        },
        act);
}

}  // namespace

Result<std::vector<ObjectPtr>> ClusterReconciler::objects(const kube::Kind& kind,
                                                          const ObjectKey& key, Look look) {
    std::vector<ObjectPtr> result;
    if (look == Look::fresh) {
        MR_TRY(auto listed,
               parts_.api->list(
                   kind, {key.space, fmt::format("{}={}", render::label::cluster, key.name)}));
        for (Json& item : listed.items) {
            item["metadata"].erase("managedFields");
            result.push_back(std::make_shared<const Json>(std::move(item)));
        }
        return result;
    }
    for (ObjectPtr& object : parts_.cache(kind).all(key.space)) {
        if ((*object)["metadata"]["labels"][render::label::cluster].text() == key.name) {
            result.push_back(std::move(object));
        }
    }
    return result;
}

namespace {

/// An edit that can't be carried out changes nothing, nor does it keep a broker from coming back.
void go_on_with_the_last_spec(World& world) {
    std::vector<std::string> problems = planner::problems_of(world);
    const std::string name = render::spec_name(world.cluster.metadata.name);
    for (const ObjectPtr& file : world.config_maps) {
        if (problems.empty() || (*file)["metadata"]["name"].text() != name) {
            continue;
        }
        auto spec = render::spec_in(*file);
        if (!spec) {
            return;
        }
        const api::ClusterSpec refused = std::exchange(world.cluster.spec, *std::move(spec));
        world.cluster.spec.paused = refused.paused;
        if (!planner::problems_of(world).empty()) {  // Another operator's rules were others.
            world.cluster.spec = refused;
            return;
        }
        world.refused_edit = std::move(problems);
        return;
    }
}

}  // namespace

Result<std::optional<World>> ClusterReconciler::observe(const ObjectKey& key, Look look) {
    ObjectPtr object = parts_.cache(clusters).get(key);
    if (look == Look::fresh) {
        auto fresh = parts_.api->get(clusters, key);
        if (!fresh && fresh.error().code() != Code::not_found) {
            return fresh.error();
        }
        object = fresh ? std::make_shared<const Json>(*std::move(fresh)) : nullptr;
    }
    if (!object) {
        return std::optional<World>{};
    }
    World world;
    MR_TRY(world.cluster, api::parse_cluster(*object));
    world.around = parts_.around;
    MR_TRY(world.pods, objects(kube::pods, key, look));
    MR_TRY(world.claims, objects(kube::claims, key, look));
    MR_TRY(world.services, objects(kube::services, key, Look::cached));
    MR_TRY(world.config_maps, objects(kube::config_maps, key, Look::cached));
    go_on_with_the_last_spec(world);
    const render::Subject subject{world.cluster, world.around};
    if (render::has_certificates(subject) || render::has_links_key(subject)) {
        MR_TRY(world.secrets, objects(kube::secrets, key, Look::cached));
    }
    if (render::has_certificates(subject)) {
        MR_TRY(world.own_authority, own_authority(world));
    }
    const auto links = parts_.cache(mirror_links).all(key.space);
    world.has_links = std::any_of(links.begin(), links.end(), [&](const ObjectPtr& link) {
        return (*link)["spec"]["clusterRef"]["name"].text() == key.name;
    });
    MR_TRY(world.budgets, objects(kube::disruption_budgets, key, Look::cached));
    if (parts_.reads_nodes) {
        world.nodes =
            node_facts(parts_.cache(kube::nodes).all(), world.cluster.spec.rack.topology_key);
    }
    const auto admin = parts_.brokers->find(key.to_string());
    if (admin && look == Look::fresh) {
        auto facts = admin->ask_facts();
        if (facts) {
            world.brokers = std::make_shared<const brokers::ClusterFacts>(*std::move(facts));
        } else if (admin->facts()) {
            return facts.error();
        }  // Else nobody has been heard: what needs brokers isn't planned, what can't start is made
           // anew.
    } else if (admin) {
        world.brokers = admin->facts();
    }
    const std::lock_guard lock(mutex_);
    auto& missing = unsupported_[key.to_string()];
    const Instant now = parts_.clock->now();
    std::erase_if(missing, [&](const auto& one) { return now - one.second.at > ask_again_after; });
    for (const auto& [call, one] : missing) {
        world.answers.unsupported[call] = one.why;
    }
    world.now = parts_.clock->wall();
    return std::optional<World>{std::move(world)};
}

/// An operator that has just started hasn't heard a cluster's brokers yet, which tells nothing
/// about them: what the status says of a cluster that served stays for so long, unless the spec was
/// edited or Kubernetes itself sees that a pod is not well.
Duration ClusterReconciler::patience_left(const World& world) {
    const auto& metadata = world.cluster.metadata;
    const std::string name = ObjectKey{metadata.space, metadata.name}.to_string();
    const Duration left = first_word_.patience_left(name, parts_.clock->now());
    const auto& status = world.cluster.status;
    const bool served = std::any_of(
        status.conditions.begin(), status.conditions.end(),
        [](const api::Condition& one) { return one.type == "Available" && one.status == "True"; });
    const bool is_well =
        std::all_of(world.pods.begin(), world.pods.end(), [&](const ObjectPtr& pod) {
            return planner::facts_of(pod, world.cluster.spec.rack.topology_key).ready;
        });
    if (world.brokers || !served || !is_well || !admin_of(world) ||
        metadata.generation != status.observed_generation) {
        return Duration{0};
    }
    return left;
}

std::shared_ptr<brokers::Admin> ClusterReconciler::admin_of(const World& world) const {
    return parts_.brokers->find(
        ObjectKey{world.cluster.metadata.space, world.cluster.metadata.name}.to_string());
}

/// Where brokers are asked: every pod with an address that runs.
void ClusterReconciler::follow_brokers(const World& world) {
    const render::Subject subject{world.cluster, parts_.around};
    const bool tls = render::has_admin_tls(subject);
    std::vector<brokers::Endpoint> endpoints;
    for (const ObjectPtr& pod : world.pods) {
        const auto facts = planner::facts_of(pod, world.cluster.spec.rack.topology_key);
        const bool is_broker =
            (*pod)["metadata"]["labels"][render::label::pool].text() != api::controllers_name;
        if (facts.id >= 0 && !facts.ip.empty() && !facts.ended && !facts.going) {
            endpoints.push_back({facts.id, fmt::format("{}:{}", facts.ip, api::owned_port::admin),
                                 tls ? render::server_names(subject, facts.id).front() : "",
                                 is_broker});
        }
    }
    const brokers::Identity identity = tls ? identity_of(world) : brokers::Identity{};
    if (tls && identity.ca_pem.empty()) {
        return;  // Its own certificate comes first.
    }
    parts_.brokers->reach(
        ObjectKey{world.cluster.metadata.space, world.cluster.metadata.name}.to_string(), endpoints,
        identity);
}

brokers::Identity ClusterReconciler::identity_of(const World& world) const {
    const std::string name = render::operator_certificate_name(world.cluster.metadata.name);
    for (const ObjectPtr& secret : world.secrets) {
        if ((*secret)["metadata"]["name"].text() != name) {
            continue;
        }
        const Json& data = (*secret)["data"];
        const auto ca = kube::from_base64(data["ca.crt"].text());
        const auto certificate = kube::from_base64(data["tls.crt"].text());
        const auto key = kube::from_base64(data["tls.key"].text());
        if (ca && certificate && key) {
            return {*ca, *certificate, Secret(*key)};
        }
    }
    return {};
}

Result<void> ClusterReconciler::apply(const kube::Kind& kind, const Json& object) {
    auto result = parts_.api->apply(kind, object);
    if (result) {
        parts_.cache(kind).note_written(*result);
    }
    return counted(kind, "apply", dropped(std::move(result)));
}

/// That the old pod has the name and its share of a quota is what makes room for the new one, and
/// who can't rehearse tells nothing about the pod.
std::string ClusterReconciler::refusal_of(const planner::AskPod& ask, const World& world) {
    const auto rehearsed = parts_.api->rehearse_create(kube::pods, ask.pod);
    if (rehearsed || !is_refusal(rehearsed.error().code())) {
        return "";
    }
    const std::string& why = rehearsed.error().message();
    if (why.find("exceeded quota") != std::string::npos) {
        const auto old_pod = std::find_if(
            world.pods.begin(), world.pods.end(),
            [&](const ObjectPtr& pod) { return planner::broker_of(*pod) == ask.broker; });
        return planner::quota_refusal(why, old_pod == world.pods.end() ? Json{} : **old_pod);
    }
    return why.find("not support dry run") != std::string::npos ? "" : why;
}

void ClusterReconciler::answer(const planner::Question& question, World& world) {
    const auto admin = admin_of(world);
    const Error nobody(Code::unavailable, "no broker answers");
    const auto note = [&](const char* call, const auto& answer) {
        if (parts_.meter != nullptr) {
            parts_.meter->asked_brokers(call, answer.value.has_value());
        }
    };
    std::visit(
        Overloaded{
            [&](const planner::AskRestart& ask) {
                auto answer = to_answer(admin ? admin->restart_check(ask.brokers)
                                              : Result<brokers::RestartVerdict>(nobody));
                note("RestartCheck", answer);
                world.answers.restart[ask] = std::move(answer);
            },
            [&](const planner::AskPod& ask) {
                world.answers.pods[ask.broker] = refusal_of(ask, world);
            },
            [&](const planner::AskPodEvents& ask) {
                // A role of an earlier release may not list them: then nothing is known.
                const auto listed = parts_.api->list(
                    kube::events,
                    {world.cluster.metadata.space, "", "involvedObject.uid=" + ask.uid});
                world.answers.pod_events[ask.broker] = listed ? listed->items : std::vector<Json>{};
            },
            [&](const planner::AskPlan& ask) {
                world.answers.plan =
                    to_answer(admin ? admin->plan(ask.wish) : Result<brokers::PlanFacts>(nobody));
                note("PlanRebalance", *world.answers.plan);
            },
            [&](const planner::AskQuorum&) {
                world.answers.quorum =
                    to_answer(admin ? admin->quorum() : Result<brokers::QuorumFacts>(nobody));
                note("DescribeQuorum", *world.answers.quorum);
            },
            [&](const planner::AskCertificates&) {
                world.answers.certificates = to_answer(
                    admin ? admin->certificates() : Result<brokers::CertificateUses>(nobody));
                note("ReloadCertificates", *world.answers.certificates);
            },
            [&](const planner::AskVolumes& ask) {
                auto answer = to_answer(admin ? admin->volumes(ask.broker)
                                              : Result<brokers::Volumes>(nobody));
                note("DescribeLogDirs", answer);
                world.answers.volumes[ask.broker] = std::move(answer);
            },
            [&](const planner::AskOwner& ask) {
                std::string& owner = world.answers.owners[ask.topic];
                const std::string cluster =
                    ObjectKey{world.cluster.metadata.space, world.cluster.metadata.name}
                        .to_string();
                parts_.cache(topics).look_at_group(cluster, [&](const Json& object) {
                    const std::string& name = object["metadata"]["name"].text();
                    if (object["spec"]["name"].text_or(name) == ask.topic) {
                        owner = kube::key_of(object).to_string();
                    }
                });
            },
            [&](const planner::AskProgress&) {
                world.answers.progress = to_answer(admin ? admin->plan_progress("")
                                                         : Result<brokers::PlanProgress>(nobody));
                note("GetPlan", *world.answers.progress);
            },
        },
        question);
}

Plan ClusterReconciler::plan_with_answers(World& world) {
    Plan plan = planner::plan_cluster(world);
    for (int round = 0; !plan.questions.empty() && round < most_questions; ++round) {
        for (const planner::Question& question : plan.questions) {
            answer(question, world);
        }
        plan = planner::plan_cluster(world);
    }
    return plan;
}

Result<std::optional<Plan>> ClusterReconciler::plan(const ObjectKey& key) {
    MR_TRY(auto world, observe(key, Look::cached));
    if (!world) {
        return std::optional<Plan>{};
    }
    follow_brokers(*world);
    return std::optional<Plan>{plan_with_answers(*world)};
}

/// What our parser can't take is told where its author looks. The API server refuses it at the
/// door, unless it knows an older definition of the kind.
Result<void> ClusterReconciler::refuse(const ObjectKey& key, const Error& why) {
    const ObjectPtr object = parts_.cache(clusters).get(key);
    const auto before =
        object ? api::parse_cluster_status((*object)["status"]) : Result<api::ClusterStatus>(why);
    if (!object) {
        return {};
    }
    World world;
    world.cluster.metadata = api::parse_metadata(*object);
    world.cluster.status = before ? *before : api::ClusterStatus{};
    api::ClusterStatus status = world.cluster.status;
    status.observed_generation = world.cluster.metadata.generation;
    status.phase = "Invalid";
    status.message = why.message();
    for (const char* type : {"SpecValid", "Ready"}) {
        api::Condition condition;
        condition.type = type;
        condition.status = "False";
        condition.reason = "Invalid";
        condition.message = why.message();
        condition.observed_generation = status.observed_generation;
        api::set_condition(status.conditions, std::move(condition),
                           kube::time_text(parts_.clock->wall()));
    }
    return write_status(world, status);
}

Result<std::optional<Duration>> ClusterReconciler::reconcile(const ObjectKey& key) {
    auto observed = observe(key, Look::cached);
    if (!observed && observed.error().code() == Code::invalid) {
        MR_TRY_VOID(refuse(key, observed.error()));
        return std::optional<Duration>{};  // Until its author changes it.
    }
    MR_TRY(auto world, std::move(observed));
    if (!world) {
        parts_.brokers->forget(key.to_string());
        first_word_.forget(key.to_string());
        return std::optional<Duration>{};  // Deleted: owner references clean up.
    }
    follow_brokers(*world);
    Plan plan = plan_with_answers(*world);
    const bool look_again = std::any_of(plan.actions.begin(), plan.actions.end(),
                                        [](const Action& one) { return one.needs_fresh_look; });
    if (look_again) {
        MR_TRY(world, observe(key, Look::fresh));
        if (!world) {
            return std::optional<Duration>{};
        }
        plan = plan_with_answers(*world);
    }
    const Result<void> acted = act(*world, plan.actions);
    if (!world->refused.empty()) {
        Plan told = planner::plan_cluster(*world);  // The same, and what was refused in its status.
        plan.status = std::move(told.status);
        plan.warnings = std::move(told.warnings);
    }
    if (const Duration patience = patience_left(*world); patience > Duration{0}) {
        MR_TRY_VOID(acted);
        return std::optional<Duration>{std::min(plan.again.value_or(patience), patience)};
    }
    warn(*world, plan.warnings);
    MR_TRY_VOID(write_status(*world, plan.status));
    MR_TRY_VOID(acted);
    return plan.again;
}

Result<void> ClusterReconciler::act(World& world, const std::vector<Action>& actions) {
    Result<void> first_failure;
    std::optional<planner::Lane> failed;
    for (const Action& action : actions) {
        if (failed == action.lane && planner::is_in_order(action.lane)) {
            continue;  // The rest of this lane builds on what failed; other lanes go on.
        }
        if (!parts_.may_write()) {
            return Error(Code::not_leader, "another operator leads now");
        }
        const Result<void> outcome = act(world, action);
        if (!outcome) {
            failed = action.lane;
            if (is_refusal(outcome.error().code())) {
                world.refused.push_back(as_refusal(action, outcome.error()));
            }
            if (first_failure) {
                first_failure = outcome.error().with_context(planner::to_string(action));
            }
            continue;
        }
        MR_LOG(parts_.log, info, "operator.acted",
               field("cluster", world.cluster.metadata.space + "/" + world.cluster.metadata.name),
               field("action", planner::to_string(action)));
        if (parts_.events != nullptr && !action.event.empty()) {
            parts_.events->note(reference_to(world), kube::EventType::normal, action.event,
                                action.why);
        }
    }
    return first_failure;
}

void ClusterReconciler::warn(const World& world, const std::vector<planner::Warning>& warnings) {
    for (const planner::Warning& warning : warnings) {
        MR_LOG(parts_.log, warn, "operator.trouble",
               field("cluster", world.cluster.metadata.space + "/" + world.cluster.metadata.name),
               field("reason", warning.reason), field("message", warning.message));
        if (parts_.events != nullptr) {
            parts_.events->note(reference_to(world), kube::EventType::warning, warning.reason,
                                warning.message);
        }
    }
}

Result<void> ClusterReconciler::counted(const kube::Kind& kind, std::string_view verb,
                                        Result<void> outcome) {
    if (parts_.meter != nullptr) {
        parts_.meter->wrote(kind, verb, outcome.has_value());
    }
    return outcome;
}

Result<void> ClusterReconciler::act(const World& world, const Action& action) {
    const auto admin = admin_of(world);
    const auto noted = [&](const kube::Kind& kind, Result<Json> result) -> Result<void> {
        if (result) {
            parts_.cache(kind).note_written(*result);
        }
        return dropped(std::move(result));
    };
    const auto asked = [&](const auto& call) -> Result<void> {
        if (!admin) {
            return Error(Code::unavailable, "no broker answers");
        }
        Result<void> outcome = call(*admin);
        const std::string name = call_of(action.act);
        if (parts_.meter != nullptr) {
            parts_.meter->asked_brokers(name, outcome.has_value());
        }
        if (!outcome && outcome.error().code() == Code::unsupported) {
            note_unsupported(world, name, outcome.error().message());
        }
        return outcome;
    };
    return std::visit(
        Overloaded{
            [&](const planner::Apply& one) { return apply(one.kind, one.object); },
            [&](const planner::Create& one) {
                return counted(one.kind, "create",
                               noted(one.kind, parts_.api->create(one.kind, one.object)));
            },
            [&](const planner::Remove& one) -> Result<void> {
                auto removed = parts_.api->remove(one.kind, one.key, {one.uid, ""});
                if (!removed && removed.error().code() == Code::not_found) {
                    return {};  // It is gone: that is what was wanted.
                }
                const bool is_there = removed && (*removed)["metadata"]["uid"].text() == one.uid &&
                                      (*removed)["metadata"].has("deletionTimestamp");
                if (removed && !is_there) {
                    parts_.cache(one.kind).forget(one.key, one.uid);
                    return counted(one.kind, "delete", {});
                }
                return counted(one.kind, "delete", noted(one.kind, std::move(removed)));
            },
            [&](const planner::Cordon& one) {
                return asked(
                    [&](brokers::Admin& to) { return to.cordon(one.brokers, one.cordoned); });
            },
            [&](const planner::CordonVolumes& one) {
                return asked(
                    [&](brokers::Admin& to) { return to.cordon_volumes(one.broker, one.paths); });
            },
            [&](const planner::Unregister& one) {
                return asked([&](brokers::Admin& to) { return to.unregister(one.broker); });
            },
            [&](const planner::StartPlan& one) {
                return asked([&](brokers::Admin& to) -> Result<void> {
                    MR_TRY(const auto progress, to.apply_plan(one.hash, one.throttle));
                    (void)progress;
                    return {};
                });
            },
            [&](const planner::CancelPlan& one) {
                return asked([&](brokers::Admin& to) { return to.cancel_plan(one.hash); });
            },
            [&](const planner::AddVoter& one) {
                return asked(
                    [&](brokers::Admin& to) { return to.add_voter(one.node, one.address); });
            },
            [&](const planner::RemoveVoter& one) {
                return asked([&](brokers::Admin& to) { return to.remove_voter(one.node); });
            },
            [&](const planner::IssueAuthority&) { return issue_authority(world); },
            [&](const planner::IssueLinksKey&) { return issue_links_key(world); },
            [&](const planner::RenewAuthority& one) { return renew_authority(world, one); },
            [&](const planner::IssueCertificate& one) { return issue(world, one); },
            [&](const planner::Hurry& one) { return hurry(one); },
            [&](const planner::Adopt& one) {
                Json patch = Json(Json::Object{});
                patch["metadata"]["uid"] = one.uid;  // Another of its name was made by us.
                patch["metadata"]["ownerReferences"] = one.owners;
                return counted(one.kind, "patch",
                               noted(one.kind, parts_.api->merge(one.kind, one.key, patch)));
            },
            [&](const planner::NoteTold& one) {
                Json patch = Json(Json::Object{});
                patch["metadata"]["uid"] = one.uid;
                patch["metadata"]["annotations"][render::annotation::told] = one.names;
                return counted(
                    kube::claims, "patch",
                    noted(kube::claims, parts_.api->merge(kube::claims, one.claim, patch)));
            },
            [&](const planner::UpdateTrust& one) { return update_trust(world, one); },
            [&](const planner::AlterDefaults& one) {
                return asked([&](brokers::Admin& to) { return to.alter_defaults(one.change); });
            },
        },
        action.act);
}

void ClusterReconciler::note_unsupported(const World& world, const std::string& call,
                                         const std::string& why) {
    const std::lock_guard lock(mutex_);
    const ObjectKey key{world.cluster.metadata.space, world.cluster.metadata.name};
    unsupported_[key.to_string()][call] = {why, parts_.clock->now()};
}

Result<void> ClusterReconciler::write_status(const World& world, const api::ClusterStatus& status) {
    if (status == world.cluster.status || !world.cluster.metadata.deletion_timestamp.empty()) {
        return {};
    }
    if (!parts_.may_write()) {
        return Error(Code::not_leader, "another operator leads now");
    }
    Json object = Json::object({{"apiVersion", "millrace.dev/v1"}, {"kind", "Cluster"}});
    object["metadata"] = Json::object(
        {{"name", world.cluster.metadata.name}, {"namespace", world.cluster.metadata.space}});
    object["status"] = api::to_json(status);
    auto written = parts_.api->apply_status(clusters, object);
    if (!written && written.error().code() == Code::not_found) {
        return {};  // Deleted meanwhile.
    }
    if (written) {
        parts_.cache(clusters).note_written(*written);
    }
    return counted(clusters, "status", dropped(std::move(written)));
}

}  // namespace millrace::reconcile
