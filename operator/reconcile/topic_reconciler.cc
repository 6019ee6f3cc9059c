#include "operator/reconcile/topic_reconciler.h"

#include <algorithm>
#include <fmt/core.h>
#include <iterator>
#include <mutex>
#include <thread>
#include <vector>

namespace millrace::reconcile {

namespace {

using kube::Json;
using kube::ObjectKey;
using planner::TopicPlan;
using planner::TopicWorld;

constexpr std::size_t describe_at_once = 1000;  ///< The most that one call may name.
constexpr std::size_t create_at_once = 100;     ///< Bounded by how long one call may take.
/// Settings that somebody changes behind our back are set back after at most this long.
constexpr Duration look_for_drift_every = 10s;
constexpr Duration try_again_after = 2s;
constexpr Duration tell_again_after = 60s;
constexpr Duration tell_again_what_lasts_after = 600s;

template <typename Item, typename Call>
void in_batches(const std::vector<Item>& items, std::size_t at_once, const Call& call) {
    for (std::size_t at = 0; at < items.size(); at += at_once) {
        const auto end =
            items.begin() + static_cast<std::ptrdiff_t>(std::min(at + at_once, items.size()));
        call(std::vector<Item>(items.begin() + static_cast<std::ptrdiff_t>(at), end));
    }
}

const std::string& name_of(const brokers::NewTopic& topic) {
    return topic.name;
}
const std::string& name_of(const brokers::SettingsChange& change) {
    return change.topic;
}
const std::string& name_of(const std::string& name) {
    return name;
}
const std::string& name_of(const std::pair<const std::string, int>& one) {
    return one.first;
}

/// Those that failed, by name; a call that failed as a whole failed for each.
template <typename Items>
void note_failures(const Items& asked, const Result<std::vector<brokers::Outcome>>& answer,
                   TopicWorld& world) {
    if (!answer) {
        for (const auto& one : asked) {
            const std::string& name = name_of(one);
            world.outcomes[name] = {name, "", -1, answer.error().message()};
        }
        return;
    }
    for (const brokers::Outcome& one : *answer) {
        if (one.kafka_error != 0) {
            world.outcomes[one.name] = one;
        }
    }
}

}  // namespace

ObjectKey cluster_named_by(const Json& topic) {
    const Json& reference = topic["spec"]["clusterRef"];
    return {reference["namespace"].text_or(topic["metadata"]["namespace"].text()),
            reference["name"].text()};
}

Result<TopicWorld> TopicReconciler::observe(const ObjectKey& key) {
    TopicWorld world;
    if (const kube::ObjectPtr object = parts_.cache(clusters).get(key)) {
        auto cluster = api::parse_cluster(*object);
        if (!cluster) {  // Its own status says what is wrong with it.
            cluster = api::Cluster{};
            cluster->metadata = api::parse_metadata(*object);
        }
        world.cluster = std::make_shared<const api::Cluster>(*std::move(cluster));
    }
    parts_.cache(topics).look_at_group(key.to_string(), [&](const Json& object) {
        if (!(cluster_named_by(object) == key)) {
            return;  // Before the whole object is read: other clusters' topics may be many.
        }
        auto topic = api::parse_topic(object);
        if (!topic) {  // Known to whoever knows an older definition of the kind, or lax settings.
            world.unreadable[kube::key_of(object)] = topic.error().message();
            topic = api::outline_of_topic(object);
        }
        world.topics.push_back(*std::move(topic));
    });
    world.now = parts_.clock->wall();
    return world;
}

Result<void> TopicReconciler::look_up(TopicWorld& world, brokers::Admin* admin) {
    world.found.reset();
    if (!world.cluster) {
        return {};
    }
    if (admin == nullptr || !admin->facts()) {
        world.unreachable = "the cluster doesn't answer yet";
        return {};
    }
    world.brokers = static_cast<int>(admin->facts()->brokers.size());
    std::vector<std::string> names;
    for (const api::Topic& topic : world.topics) {
        names.push_back(api::topic_name(topic));
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    std::map<std::string, brokers::TopicFacts> found;
    in_batches(names, describe_at_once, [&](const std::vector<std::string>& some) {
        const auto facts = admin->topics(some);
        if (!facts) {
            world.unreachable = facts.error().message();
            return;
        }
        for (const brokers::TopicFacts& topic : *facts) {
            found[topic.name] = topic;
        }
    });
    if (world.unreachable.empty()) {
        world.found = std::move(found);
    }
    return {};
}

void TopicReconciler::change_brokers(const TopicPlan& plan, TopicWorld& world,
                                     brokers::Admin& admin) {
    in_batches(plan.create, create_at_once, [&](const std::vector<brokers::NewTopic>& some) {
        const auto answer = admin.create_topics(some);
        note_failures(some, answer, world);
        for (const brokers::Outcome& one : answer ? *answer : std::vector<brokers::Outcome>{}) {
            if (one.kafka_error == 0) {
                world.created[one.name] = one.id;
            }
        }
    });
    in_batches(plan.alter, create_at_once, [&](const std::vector<brokers::SettingsChange>& some) {
        note_failures(some, admin.alter_topics(some), world);
    });
    in_batches(plan.remove, create_at_once, [&](const std::vector<std::string>& some) {
        note_failures(some, admin.delete_topics(some), world);
    });
    if (!plan.grow.empty()) {
        note_failures(plan.grow, admin.grow_topics(plan.grow), world);
    }
}

/// Another replication factor is the planner's work in the brokers: one plan for all topics.
void TopicReconciler::change_replicas(const TopicPlan& plan, TopicWorld& world,
                                      brokers::Admin& admin) {
    if (const auto running = admin.plan_progress("");
        running && running->state == brokers::PlanState::running) {
        world.placement_problem = "another plan is being carried out";
        world.placement_waits = true;
        return;
    }
    brokers::PlanWish wish;
    wish.mode = brokers::PlanMode::repair;
    wish.replication_factors = plan.replication_factors;
    const auto planned = admin.plan(wish);
    if (!planned) {
        world.placement_problem = planned.error().code() == Code::unsupported
                                      ? "brokers of this version can't change it"
                                      : planned.error().message();
        world.placement_waits = planned.error().code() == Code::unavailable;
        return;
    }
    if (planned->moves == 0) {
        world.placement_problem =
            planned->unmet.empty() ? "the planner finds no move" : planned->unmet.front().reason;
        return;
    }
    if (const auto started = admin.apply_plan(planned->hash, 0); !started) {
        world.placement_problem = started.error().message();
        world.placement_waits = true;  // The next round plans from what there is then.
    }
}

Result<std::optional<Duration>> TopicReconciler::reconcile(const ObjectKey& key) {
    MR_TRY(TopicWorld world, observe(key));
    if (world.topics.empty()) {
        return std::optional<Duration>{};
    }
    const auto admin = parts_.brokers->find(key.to_string());
    MR_TRY_VOID(look_up(world, admin.get()));
    TopicPlan plan = planner::plan_topics(world);
    // A finalizer must be there before the topic is: else a delete in between would leave it.
    TopicPlan first;
    first.finalizers = plan.finalizers;
    MR_TRY_VOID(write(first));
    std::vector<planner::TopicNews> news;
    const bool changed = plan.changes_brokers();
    if (admin && (changed || !plan.replication_factors.empty())) {
        if (!parts_.may_write()) {
            return Error(Code::not_leader, "another operator leads now");
        }
        if (changed) {
            change_brokers(plan, world, *admin);
        }
        if (!plan.replication_factors.empty()) {
            change_replicas(plan, world, *admin);
        }
        std::copy_if(plan.news.begin(), plan.news.end(), std::back_inserter(news),
                     [&](const auto& one) {
                         return one.with_change && !world.outcomes.contains(one.topic);
                     });
        MR_TRY_VOID(look_up(world, admin.get()));
        plan = planner::plan_topics(world);
    }
    std::copy_if(plan.news.begin(), plan.news.end(), std::back_inserter(news),
                 [](const auto& one) { return !one.with_change; });
    tell(news);
    plan.finalizers.clear();
    MR_TRY_VOID(write(plan));
    const bool waits =
        plan.waits || plan.changes_brokers() || !world.found || !plan.replication_factors.empty();
    return std::optional<Duration>{waits ? try_again_after : look_for_drift_every};
}

void TopicReconciler::tell(const std::vector<planner::TopicNews>& news) {
    const Instant now = parts_.clock->now();
    const std::lock_guard lock(mutex_);
    std::erase_if(told_, [&](const auto& one) { return one.second <= now; });
    for (const planner::TopicNews& one : news) {
        const bool is_news =
            told_
                .emplace(fmt::format("{}\n{}\n{}", one.uid, one.reason, one.subject),
                         now + (one.lasts ? tell_again_what_lasts_after : tell_again_after))
                .second;
        if (!is_news) {
            continue;
        }
        MR_LOG(parts_.log, info, "operator.topic", field("object", one.object.to_string()),
               field("reason", one.reason), field("message", one.message));
        if (parts_.events != nullptr) {
            Json about = Json::object({{"apiVersion", "millrace.dev/v1"}, {"kind", "Topic"}});
            about["metadata"] = Json::object(
                {{"name", one.object.name}, {"namespace", one.object.space}, {"uid", one.uid}});
            parts_.events->note(about,
                                one.is_warning ? kube::EventType::warning : kube::EventType::normal,
                                one.reason, one.message);
        }
    }
}

Result<void> TopicReconciler::write(const TopicPlan& plan) {
    for (const planner::FinalizerChange& change : plan.finalizers) {
        if (!parts_.may_write()) {
            return Error(Code::not_leader, "another operator leads now");
        }
        Json patch = Json(Json::Object{});
        patch["metadata"]["resourceVersion"] = change.version;
        patch["metadata"]["finalizers"] = Json(Json::Array{});
        for (const std::string& finalizer : change.finalizers) {
            patch["metadata"]["finalizers"].push_back(finalizer);
        }
        auto written = parts_.api->merge(topics, change.topic, patch);
        if (parts_.meter != nullptr) {
            parts_.meter->wrote(topics, "patch", written.has_value());
        }
        if (written) {
            parts_.cache(topics).note_written(*std::move(written));
        } else if (written.error().code() != Code::not_found) {
            return written.error();
        }
    }
    return write_statuses(plan);
}

/// A thousand statuses one after the other would take as many round trips.
Result<void> TopicReconciler::write_statuses(const TopicPlan& plan) {
    std::mutex mutex;
    auto next = plan.statuses.begin();
    Result<void> first_failure;
    const auto work = [&] {
        for (;;) {
            std::unique_lock lock(mutex);
            if (next == plan.statuses.end() || !first_failure) {
                return;
            }
            const auto& [key, status] = *next++;
            lock.unlock();
            const Result<void> written = write_status(key, status);
            lock.lock();
            if (!written && first_failure) {
                first_failure = written;
            }
        }
    };
    const auto wanted = std::min<std::size_t>(static_cast<std::size_t>(parts_.parallel_writes),
                                              plan.statuses.size() / 4);
    std::vector<std::thread> helpers;
    for (std::size_t i = 1; i < wanted; ++i) {
        helpers.emplace_back(work);
    }
    work();
    for (std::thread& helper : helpers) {
        helper.join();
    }
    return first_failure;
}

Result<void> TopicReconciler::write_status(const ObjectKey& key, const api::TopicStatus& status) {
    if (!parts_.may_write()) {
        return Error(Code::not_leader, "another operator leads now");
    }
    Json object = Json::object({{"apiVersion", "millrace.dev/v1"}, {"kind", "Topic"}});
    object["metadata"] = Json::object({{"name", key.name}, {"namespace", key.space}});
    object["status"] = api::to_json(status);
    auto written = parts_.api->apply_status(topics, object);
    if (parts_.meter != nullptr) {
        parts_.meter->wrote(topics, "status", written.has_value());
    }
    if (written) {
        parts_.cache(topics).note_written(*std::move(written));
        return {};
    }
    return written.error().code() == Code::not_found ? Result<void>{} : written.error();
}

}  // namespace millrace::reconcile
