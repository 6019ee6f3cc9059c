// One simulated Kubernetes, one simulated cluster behind it, and an operator that may die.
#pragma once

#include <fmt/core.h>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include "operator/reconcile/cluster_reconciler.h"
#include "operator/reconcile/topic_reconciler.h"
#include "tests/sim_kube/sim_kube.h"

namespace millrace::reconcile {

using kube::Json;
using kube::ObjectKey;

class TestClock final : public Clock {
public:
    Instant now() const override { return now_; }
    Timestamp wall() const override { return {1'700'000'000'000 + now_.nanoseconds / 1'000'000}; }
    void advance(Duration by) { now_ = now_ + by; }

private:
    Instant now_{1};
};

/// "Warning TopicDeleted orders: ...", each time that one is noted.
class NotedEvents final : public kube::EventRecorder {
public:
    void note(const Json& about, kube::EventType type, const std::string& reason,
              const std::string& message) override {
        all.push_back(fmt::format("{} {} {}: {}",
                                  type == kube::EventType::normal ? "Normal" : "Warning", reason,
                                  about["metadata"]["name"].text(), message));
    }
    std::vector<std::string> all;
};

class World {
public:
    World() : kube(std::make_shared<sim_kube::SimKube>()) {
        around.version = "1.0";
        new_operator();
    }

    /// Another process: nothing is remembered but what Kubernetes and brokers have.
    void new_operator() {
        kube->revive();
        kube->drop_caches();
        Parts parts;
        parts.api = kube;
        parts.cache = [this](const kube::Kind& kind) -> kube::ObjectCache& {
            return kube->cache(kind);
        };
        parts.brokers = kube->directory();
        parts.clock = &clock;
        parts.events = &events;
        parts.around = around;
        parts.reads_nodes = reads_nodes;
        parts.log = log;
        cluster_reconciler = std::make_unique<ClusterReconciler>(parts);
        topic_reconciler = std::make_unique<TopicReconciler>(parts);
    }

    void apply_cluster(const std::string& spec, const std::string& name = "main") {
        Json object = Json(Json::Object{});
        object["metadata"]["name"] = name;
        object["metadata"]["namespace"] = "default";
        object["spec"] = *Json::parse(spec);
        kube->put(clusters, std::move(object));
    }
    void apply_topic(const std::string& name, const std::string& spec,
                     const std::string& space = "default") {
        Json object = Json(Json::Object{});
        object["metadata"]["name"] = name;
        object["metadata"]["namespace"] = space;
        object["spec"] = *Json::parse(spec);
        kube->put(topics, std::move(object));
    }

    /// One round of the operator; errors are what a work queue would try again.
    Result<void> round() {
        const ObjectKey key{"default", "main"};
        kube->bring_caches_up_to_date();
        const auto cluster = cluster_reconciler->reconcile(key);
        const auto topic = topic_reconciler->reconcile(key);
        clock.advance(1s);
        return !cluster ? cluster.error() : topic ? Result<void>{} : topic.error();
    }

    /// Rounds and steps of the world until nothing is written any more. A dead operator is
    /// replaced.
    void settle(int most_rounds = 200) {
        int quiet = 0;
        for (int i = 0; i < most_rounds && quiet < 3; ++i) {
            const int before = kube->writes();
            last = round();
            if (kube->is_dead()) {
                new_operator();
                quiet = 0;
                continue;
            }
            kube->step();
            quiet = last && kube->writes() == before ? quiet + 1 : 0;
        }
        ASSERT_GE(quiet, 3) << "it never came to rest: "
                            << (last ? "writes go on" : last.error().message()) << "\n"
                            << journal_tail();
    }

    Json cluster() const { return kube->find(clusters, {"default", "main"}).value_or(Json{}); }
    Json topic(const std::string& name, const std::string& space = "default") const {
        return kube->find(topics, {space, name}).value_or(Json{});
    }
    static std::string condition(const Json& object, std::string_view type) {
        for (const Json& one : object["status"]["conditions"].items()) {
            if (one["type"].text() == type) {
                return one["status"].text();
            }
        }
        return "";
    }
    std::string pod_names() const {
        std::string names;
        for (const Json& pod : kube->all(kube::pods)) {
            names += (names.empty() ? "" : " ") + pod["metadata"]["name"].text();
        }
        return names;
    }
    std::map<std::string, std::string> pod_uids() const {
        std::map<std::string, std::string> uids;
        for (const Json& pod : kube->all(kube::pods)) {
            uids[pod["metadata"]["name"].text()] = pod["metadata"]["uid"].text();
        }
        return uids;
    }
    std::string journal_tail() const {
        std::string text;
        const auto& journal = kube->journal();
        for (std::size_t i = journal.size() > 15 ? journal.size() - 15 : 0; i < journal.size();
             ++i) {
            text += journal[i] + "\n";
        }
        return text + cluster()["status"].dump();
    }

    std::shared_ptr<sim_kube::SimKube> kube;
    TestClock clock;
    NotedEvents events;
    Logger log;
    render::Surroundings around;  ///< Of the next operator, as is:
    bool reads_nodes = false;
    std::unique_ptr<ClusterReconciler> cluster_reconciler;
    std::unique_ptr<TopicReconciler> topic_reconciler;
    Result<void> last;
};

inline constexpr const char* three_brokers = R"({"replicas": 3, "storage": {"size": "1Gi"}})";

}  // namespace millrace::reconcile
