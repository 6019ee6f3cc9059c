#include "operator/app/operator.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <fmt/core.h>
#include <mutex>
#include <thread>

#include "operator/app/metrics.h"
#include "operator/brokers/client.h"
#include "operator/kube/informer.h"
#include "operator/kube/work_queue.h"
#include "operator/planner/topic_planner.h"
#include "operator/reconcile/cluster_reconciler.h"
#include "operator/reconcile/link_reconciler.h"
#include "operator/reconcile/topic_reconciler.h"
#include "operator/render/names.h"
#include "runtime/real/system_clock.h"

namespace millrace::op {

namespace {

using kube::Json;
using kube::ObjectKey;
using kube::ObjectPtr;

constexpr std::string_view cluster_lane = "cluster/";
constexpr std::string_view topic_lane = "topics/";
constexpr std::string_view link_lane = "link/";
constexpr std::string_view kept_lane = "kept/";  ///< Topics whose objects are gone.
constexpr Duration not_leading_pause = 500ms;
constexpr Duration not_synced_pause = 20ms;
constexpr Duration not_allowed_pause = 1s;
/// Nobody tells us of a quota that was raised: what waits for it doesn't wait ever longer.
constexpr Duration refused_pause = 5s;

ObjectKey parse_key(std::string_view text) {
    const std::size_t slash = text.find('/');
    return {std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
}

/// Of a key behind its lane.
std::string space_of(std::string_view key) {
    key.remove_prefix(std::min(key.find('/'), key.size() - 1) + 1);
    return parse_key(key).space;
}

std::vector<kube::Informers::Wanted> wanted_kinds(const OperatorOptions& options) {
    std::vector<kube::Informers::Wanted> wanted;
    for (const std::string& space :
         options.spaces.empty() ? std::vector<std::string>{""} : options.spaces) {
        wanted.push_back({reconcile::clusters, {space, ""}});
        wanted.push_back({reconcile::topics, {space, ""}, [](const Json& topic) {
                              return reconcile::cluster_named_by(topic).to_string();
                          }});
        wanted.push_back({reconcile::mirror_links, {space, ""}});
        for (const kube::Kind& kind : {kube::pods, kube::claims, kube::services, kube::config_maps,
                                       kube::secrets, kube::disruption_budgets}) {
            wanted.push_back({kind, {space, render::managed_selector()}});
        }
    }
    if (options.reads_nodes) {
        wanted.push_back({kube::nodes, {}});
    }
    return wanted;
}

/// What of an object only we write: a change of that alone is no reason to look again.
Json without_our_writes(const Json& object) {
    Json rest = object;
    rest.erase("status");
    rest["metadata"].erase("resourceVersion");
    return rest;
}

/// Of a Topic whose object is gone, and which owned a topic.
bool keeps_its_topic(const Json& topic) {
    const Json& status = topic["status"];
    const auto& conditions = status["conditions"].items();
    return topic["spec"]["deletionPolicy"].text() != "Delete" &&
           !status["topicId"].text().empty() &&
           std::any_of(conditions.begin(), conditions.end(), [](const Json& one) {
               return one["type"].text() == "Owned" && one["status"].text() == "True";
           });
}

/// The way of news from brokers to the operator. Connections outlive it by a little, in threads of
/// gRPC's: once shut, nothing passes and nothing is passing.
class NewsGate {
public:
    using Take = std::function<void(const std::string&)>;

    explicit NewsGate(Take take) : take_(std::move(take)) {}
    void pass(const std::string& cluster) {
        const std::lock_guard lock(mutex_);
        if (take_) {
            take_(cluster);
        }
    }
    void shut() {
        const std::lock_guard lock(mutex_);
        take_ = nullptr;
    }

private:
    std::mutex mutex_;
    Take take_;
};

class RealOperator final : public Operator {
public:
    RealOperator(std::shared_ptr<kube::Api> api, OperatorOptions options)
        : api_(std::move(api)),
          options_(std::move(options)),
          queue_(clock_),
          broker_news_(std::make_shared<NewsGate>(
              [this](const std::string& cluster) { add_cluster(parse_key(cluster)); })) {}

    ~RealOperator() override {
        broker_news_->shut();
        queue_.stop();
        for (std::thread& worker : workers_) {
            worker.join();
        }
        election_.reset();
        directory_.reset();
        events_.reset();
        api_->stop();
        informers_.reset();
    }

    void run(bool acts) {
        brokers::DirectoryOptions reach;
        reach.log = options_.log;
        reach.on_news = [gate = broker_news_](const std::string& cluster) { gate->pass(cluster); };
        directory_ = brokers::make_directory(std::move(reach));
        informers_ = kube::Informers::start(
            api_, wanted_kinds(options_),
            [this](const kube::Kind& kind, const kube::ObjectCache::Changed& change) {
                on_news(kind, change);
            },
            options_.log);
        {
            const std::lock_guard lock(ready_mutex_);
            caches_ = informers_.get();
            is_built_ = true;
        }
        ready_.notify_all();
        events_ =
            kube::EventRecorder::start(api_, clock_, options_.election.identity, options_.log);
        reconcile::Parts parts = make_parts();
        cluster_reconciler_ = std::make_unique<reconcile::ClusterReconciler>(parts);
        topic_reconciler_ = std::make_unique<reconcile::TopicReconciler>(parts);
        link_reconciler_ = std::make_unique<reconcile::LinkReconciler>(std::move(parts));
        if (!acts) {
            return;
        }
        election_ = kube::Election::start(
            api_, clock_, options_.election, [] {}, options_.on_lost, options_.log);
        for (int i = 0; i < options_.workers; ++i) {
            workers_.emplace_back([this] { work(); });
        }
    }

    bool synced() const override { return informers_->synced(); }
    bool leads() const override { return election_ && election_->leads(); }
    Duration silence() const override { return informers_->silence(); }
    std::size_t waiting() const override { return queue_.waiting(); }
    std::vector<ObjectPtr> clusters() const override {
        return informers_->cache(reconcile::clusters).all();
    }

    bool is_up(const ObjectKey& cluster) const override {
        const auto admin = directory_->find(cluster.to_string());
        if (!admin || !admin->facts()) {
            return false;
        }
        const std::vector<ObjectPtr> pods = informers_->cache(kube::pods).all();
        return std::all_of(pods.begin(), pods.end(), [&](const ObjectPtr& pod) {
            const kube::Json& metadata = (*pod)["metadata"];
            return metadata["namespace"].text() != cluster.space ||
                   metadata["labels"][render::label::cluster].text() != cluster.name ||
                   planner::facts_of(pod, "").ready;
        });
    }

    reconcile::ClusterReconciler& cluster_reconciler() { return *cluster_reconciler_; }
    brokers::Directory& directory() { return *directory_; }

private:
    reconcile::Parts make_parts() {
        reconcile::Parts parts;
        parts.api = api_;
        parts.cache = [this](const kube::Kind& kind) -> kube::ObjectCache& {
            return informers_->cache(kind);
        };
        parts.brokers = directory_;
        parts.events = events_.get();
        parts.meter = options_.metrics;
        parts.may_write = [this] { return leads(); };
        parts.clock = &clock_;
        parts.around = options_.around;
        parts.reads_nodes = options_.reads_nodes;
        parts.parallel_writes = 8;
        parts.log = options_.log;
        return parts;
    }

    void add_cluster(const ObjectKey& key) {
        queue_.add(std::string(cluster_lane) + key.to_string());
        queue_.add(std::string(topic_lane) + key.to_string());
        add_links_of(key);
    }

    /// Links that follow this cluster or are owned by it.
    void add_links_of(const ObjectKey& cluster) {
        if (!is_built()) {
            return;  // Every link is looked at after the first list anyway.
        }
        for (const ObjectPtr& link : caches_->cache(reconcile::mirror_links).all(cluster.space)) {
            const Json& spec = (*link)["spec"];
            if (spec["clusterRef"]["name"].text() == cluster.name ||
                spec["source"]["clusterRef"]["name"].text() == cluster.name) {
                queue_.add(std::string(link_lane) + kube::key_of(*link).to_string());
            }
        }
    }

    bool is_built() {
        const std::lock_guard lock(ready_mutex_);
        return is_built_;
    }

    /// On an informer's thread: only notes whose turn it is.
    void on_news(const kube::Kind& kind, const kube::ObjectCache::Changed& change) {
        const ObjectPtr& object = change.now ? change.now : change.before;
        if (!object) {
            return;
        }
        const auto only_ours = [&change] {
            return change.before && change.now &&
                   without_our_writes(*change.before) == without_our_writes(*change.now);
        };
        if (kind == reconcile::clusters) {
            add_cluster(kube::key_of(*object));
        } else if (kind == reconcile::topics) {
            if (!only_ours()) {
                queue_.add(std::string(topic_lane) +
                           reconcile::cluster_named_by(*object).to_string());
            }
            if (!change.now && keeps_its_topic(*object)) {
                queue_.add(fmt::format("{}{}/{}", kept_lane, kube::key_of(*object).to_string(),
                                       (*object)["status"]["topicName"].text()));
            }
        } else if (kind == reconcile::mirror_links) {
            if (!only_ours()) {
                queue_.add(std::string(link_lane) + kube::key_of(*object).to_string());
            }
        } else if (kind == kube::nodes) {
            if (!only_ours()) {
                on_node_change();
            }
        } else if (const std::string& cluster =
                       (*object)["metadata"]["labels"][render::label::cluster].text();
                   !cluster.empty()) {  // else it is a link's
            queue_.add(fmt::format("{}{}/{}", cluster_lane,
                                   (*object)["metadata"]["namespace"].text(), cluster));
        }
    }

    void on_node_change() {
        if (!is_built()) {
            return;  // Every cluster is looked at after the first list anyway.
        }
        for (const ObjectPtr& cluster : caches_->cache(reconcile::clusters).all()) {
            queue_.add(std::string(cluster_lane) + kube::key_of(*cluster).to_string());
        }
    }

    void work() {
        {
            std::unique_lock lock(ready_mutex_);
            ready_.wait(lock, [this] { return is_built_; });
        }
        while (const auto key = queue_.take()) {
            if (!informers_->synced(space_of(*key))) {
                // Once all is there but what this namespace's Role leaves out, nothing hurries.
                queue_.done(*key, informers_->synced() ? not_allowed_pause : not_synced_pause);
            } else if (!leads()) {
                queue_.done(*key, not_leading_pause);
            } else {
                reconcile_one(*key);
            }
        }
    }

    void reconcile_one(const std::string& key) {
        const Instant began = clock_.now();
        const auto [lane, outcome] = run_lane(key);
        count(lane, outcome.has_value(), clock_.now() - began);
        if (!has_looked_.exchange(true)) {
            MR_LOG(options_.log, info, "operator.first_look", field("key", key));
        }
        if (outcome) {
            queue_.done(key, *outcome);
            return;
        }
        // Somebody else was faster, or the world isn't there yet: the next look will tell.
        const Code code = outcome.error().code();
        const bool expected = code == Code::fenced || code == Code::exists ||
                              code == Code::unavailable || code == Code::not_leader;
        if (expected) {
            MR_LOG(options_.log, info, "operator.will_retry", field("key", key),
                   field("reason", outcome.error().message()));
        } else {
            MR_LOG(options_.log, warn, "operator.reconcile_failed", field("key", key),
                   field("reason", outcome.error().to_string()));
        }
        if (code == Code::permission || code == Code::invalid) {
            queue_.done(key, refused_pause);
        } else {
            queue_.failed(key);
        }
    }

    std::pair<const char*, Result<std::optional<Duration>>> run_lane(const std::string& key) {
        const auto object = [&](std::string_view lane) {
            return parse_key(std::string_view(key).substr(lane.size()));
        };
        if (key.starts_with(cluster_lane)) {
            return {"cluster", cluster_reconciler_->reconcile(object(cluster_lane))};
        }
        if (key.starts_with(kept_lane)) {
            tell_kept(key.substr(kept_lane.size()));
            return {"topics", std::optional<Duration>{}};
        }
        if (key.starts_with(link_lane)) {
            return {"link", link_reconciler_->reconcile(object(link_lane))};
        }
        return {"topics", topic_reconciler_->reconcile(object(topic_lane))};
    }

    /// "space/object/topic": who deleted the object may have meant the topic.
    void tell_kept(const std::string& key) {
        const std::size_t last = key.rfind('/');
        const ObjectKey object = parse_key(key.substr(0, last));
        Json about = Json::object({{"apiVersion", "millrace.dev/v1"}, {"kind", "Topic"}});
        about["metadata"] = Json::object({{"name", object.name}, {"namespace", object.space}});
        events_->note(about, kube::EventType::normal, "TopicKept",
                      fmt::format("topic {} and its records stay (deletionPolicy: Retain)",
                                  key.substr(last + 1)));
    }

    void count(const char* lane, bool fine, Duration took) {
        if (options_.metrics != nullptr) {
            options_.metrics->add(MetricId::reconciles,
                                  {{"lane", lane}, {"outcome", fine ? "ok" : "failed"}}, 1);
            options_.metrics->add(MetricId::reconcile_seconds, {{"lane", lane}}, to_seconds(took));
        }
    }

    const runtime::SystemClock clock_;
    const std::shared_ptr<kube::Api> api_;
    const OperatorOptions options_;
    kube::WorkQueue queue_;
    const std::shared_ptr<NewsGate> broker_news_;
    std::atomic<bool> has_looked_ = false;
    std::mutex ready_mutex_;
    std::condition_variable ready_;
    bool is_built_ = false;
    std::shared_ptr<brokers::Directory> directory_;
    std::unique_ptr<kube::EventRecorder> events_;
    std::unique_ptr<kube::Informers> informers_;
    /// The same, for informers' own threads: they run until the informers are gone, and the owner
    /// above is empty by then.
    kube::Informers* caches_ = nullptr;
    std::unique_ptr<reconcile::ClusterReconciler> cluster_reconciler_;
    std::unique_ptr<reconcile::TopicReconciler> topic_reconciler_;
    std::unique_ptr<reconcile::LinkReconciler> link_reconciler_;
    std::unique_ptr<kube::Election> election_;
    std::vector<std::thread> workers_;
};

/// Waits in small steps; for a program that is going to end anyway.
template <typename Condition>
bool wait_for(std::chrono::milliseconds at_most, const Condition& condition) {
    const auto end = std::chrono::steady_clock::now() + at_most;
    while (!condition()) {
        if (std::chrono::steady_clock::now() >= end) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
}

void reach_brokers(RealOperator& one, const ObjectKey& key) {
    const auto first = one.cluster_reconciler().plan(key);  // It begins to follow the brokers.
    if (const auto admin = first ? one.directory().find(key.to_string()) : nullptr) {
        wait_for(std::chrono::seconds(3), [&] { return admin->facts() != nullptr; });
    }
}

}  // namespace

std::unique_ptr<Operator> Operator::start(std::shared_ptr<kube::Api> api, OperatorOptions options) {
    auto one = std::make_unique<RealOperator>(std::move(api), std::move(options));
    one->run(true);
    return one;
}

Result<std::vector<std::string>> dry_run(std::shared_ptr<kube::Api> api,
                                         const OperatorOptions& options) {
    RealOperator one(std::move(api), options);
    one.run(false);
    if (!wait_for(std::chrono::seconds(30), [&] { return one.synced(); })) {
        return Error(Code::timed_out, "the API server didn't list everything within 30 s");
    }
    std::vector<std::string> lines;
    for (const ObjectPtr& cluster : one.clusters()) {
        const ObjectKey key = kube::key_of(*cluster);
        reach_brokers(one, key);
        MR_TRY(const auto plan, one.cluster_reconciler().plan(key));
        if (!plan) {
            continue;
        }
        lines.push_back(
            fmt::format("{}: {} {}", key.to_string(), plan->status.phase, plan->status.message));
        for (const planner::Action& action : plan->actions) {
            lines.push_back("  " + planner::to_string(action));
        }
        if (plan->actions.empty()) {
            lines.emplace_back("  nothing to do");
        }
    }
    return lines;
}

}  // namespace millrace::op
