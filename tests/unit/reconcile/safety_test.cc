// What must never happen, whatever the world or an object's author does: two operators that both
// believe they lead disrupt nobody twice, and no Cluster makes the operator write what its author
// could not have been allowed to write.
#include <gmock/gmock.h>
#include <random>
#include <set>

#include "tests/unit/reconcile/fixture.h"

namespace millrace::reconcile {
namespace {

/// A second operator with caches of its own, which it looks at seldom.
class SlowRival {
public:
    explicit SlowRival(World& world) : world_(world) {
        Parts parts;
        parts.api = world.kube;
        parts.cache = [this](const kube::Kind& kind) -> kube::ObjectCache& { return cache(kind); };
        parts.brokers = world.kube->directory();
        parts.clock = &world.clock;
        parts.around.version = "1.0";
        reconciler_ = std::make_unique<ClusterReconciler>(std::move(parts));
    }

    void look() {
        for (const auto& [kind, cache] : caches_) {
            cache->replace_all(*world_.kube->list(kind, {}));
        }
    }
    void round() {
        const auto outcome = reconciler_->reconcile({"default", "main"});
        (void)outcome;  // What it wants is out of date: refusals are expected.
    }

private:
    kube::ObjectCache& cache(const kube::Kind& kind) {
        auto& slot = caches_[kind];
        if (!slot) {
            slot = std::make_unique<kube::ObjectCache>();
            slot->replace_all(*world_.kube->list(kind, {}));
        }
        return *slot;
    }

    World& world_;
    std::map<kube::Kind, std::unique_ptr<kube::ObjectCache>> caches_;
    std::unique_ptr<ClusterReconciler> reconciler_;
};

std::string disruptions_of(const World& world) {
    std::string text;
    for (const std::string& line : world.kube->journal()) {
        if (line.find("disruption") != std::string::npos || line.starts_with("remove pods") ||
            line.starts_with("create pods")) {
            text += line + "\n";
        }
    }
    return text;
}

TEST(Safety, two_operators_at_once_disrupt_nobody_twice_and_one_alone_comes_to_rest) {
    for (const int looks_every : {1, 3, 7}) {
        World world;
        world.apply_cluster(R"({"replicas": 5, "storage": {"size": "1Gi"}})");
        world.settle();
        world.kube->brokers().add_topic("orders", 10, 3, 2);
        SlowRival rival(world);
        world.apply_cluster(
            R"({"replicas": 4, "storage": {"size": "1Gi"}, "config": {"auto.create.topics.enable": "false"}})");
        for (int i = 0; i < 40; ++i) {
            if (i % looks_every == 0) {
                rival.look();
            }
            const auto outcome = world.round();
            (void)outcome;
            rival.round();
            world.kube->step();
            rival.round();
        }
        EXPECT_EQ(world.kube->second_disruptions(), 0) << "looks every " << looks_every << "\n"
                                                       << disruptions_of(world);
        world.settle();
        EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
        EXPECT_EQ(world.pod_names(), "main-0 main-1 main-2 main-3");
    }
}

using Random = std::mt19937;

const char* one_of(Random& random, const std::vector<const char*>& words) {
    return words[random() % words.size()];
}

/// A spec that has most fields, for the hostile to play with.
Json rich_spec() {
    return *Json::parse(R"({"replicas": 3, "storage": {"size": "1Gi", "class": "fast"},
        "controllers": {"replicas": 1, "storage": {"size": "1Gi"}},
        "template": {"labels": {"team": "a"}, "annotations": {"note": "b"},
            "nodeSelector": {"disk": "ssd"}, "priorityClass": "high",
            "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule"}],
            "affinity": {"nodeAffinity": {}},
            "env": [{"name": "A", "value": "b"},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            "volumes": [{"name": "v", "mountPath": "/mnt/v", "configMap": {"name": "c"}},
                        {"name": "w", "mountPath": "/mnt/w", "emptyDir": {"sizeLimit": "1Mi"}}]},
        "listeners": [{"name": "plain", "port": 9092},
                      {"name": "outside", "port": 9094, "type": "LoadBalancer",
                       "advertised": {"host": "b-{id}.example.org"}}],
        "config": {"num.partitions": "3"}, "rolling": {"hold": [1]}, "rack": {"topologyKey": "z"}})");
}

/// Changes one place, chosen anywhere in the tree.
void spoil(Random& random, Json& value) {
    const std::vector<const char*> names = {"serviceAccountName",
                                            "serviceAccount",
                                            "image",
                                            "command",
                                            "args",
                                            "securityContext",
                                            "privileged",
                                            "hostPath",
                                            "namespace",
                                            "hostNetwork",
                                            "hostPID",
                                            "initContainers",
                                            "containers",
                                            "roleRef",
                                            "ownerReferences",
                                            "finalizers",
                                            "projected",
                                            "csi",
                                            "secret",
                                            "ephemeral"};
    const std::vector<const char*> words = {"../../kube-system/x",
                                            "kube-system",
                                            "system:masters",
                                            "/var/run/docker.sock",
                                            "$(RACK)",
                                            "main-authority",
                                            "a\nprocess.roles=broker",
                                            "--config=/dev/null",
                                            "root"};
    if (value.is_object() && !value.members().empty() && random() % 4 != 0) {
        auto at = value.mutable_members().begin();
        std::advance(at, random() % value.size());
        spoil(random, at->second);
    } else if (value.is_array() && !value.items().empty() && random() % 4 != 0) {
        spoil(random, value.mutable_items()[random() % value.size()]);
    } else if (value.is_object()) {
        value[one_of(random, names)] =
            random() % 2 == 0 ? Json(one_of(random, words))
                              : *Json::parse(R"({"path": "/", "name": "main-authority"})");
    } else if (value.is_string()) {
        value = one_of(random, words);
    } else {
        value = Json::array({Json(one_of(random, words))});
    }
}

void expect_harmless_volume(const Json& volume) {
    const std::set<std::string, std::less<>> fine = {"name", "configMap", "emptyDir", "secret",
                                                     "persistentVolumeClaim"};
    for (const auto& [name, value] : volume.members()) {
        ASSERT_TRUE(fine.contains(name)) << volume.dump();
    }
    const std::string& claim = volume["persistentVolumeClaim"]["claimName"].text();
    ASSERT_TRUE(claim.empty() || claim.starts_with("main-")) << volume.dump();
    const std::string& secret = volume["secret"]["secretName"].text();
    ASSERT_TRUE(secret.empty() || secret == "main-links-key" ||
                (secret.starts_with("main-") && secret.ends_with("-tls")))
        << volume.dump();
}

void expect_harmless_pod(const Json& pod) {
    const std::set<std::string, std::less<>> fine = {"restartPolicy",
                                                     "automountServiceAccountToken",
                                                     "enableServiceLinks",
                                                     "hostname",
                                                     "terminationGracePeriodSeconds",
                                                     "subdomain",
                                                     "securityContext",
                                                     "affinity",
                                                     "tolerations",
                                                     "topologySpreadConstraints",
                                                     "nodeSelector",
                                                     "priorityClassName",
                                                     "volumes",
                                                     "containers",
                                                     "nodeName"};
    const Json& spec = pod["spec"];
    for (const auto& [name, value] : spec.members()) {
        ASSERT_TRUE(fine.contains(name)) << name;
    }
    ASSERT_FALSE(spec["automountServiceAccountToken"].boolean(true));
    ASSERT_TRUE(spec["securityContext"]["runAsNonRoot"].boolean());
    ASSERT_EQ(spec["containers"].size(), 1U);
    const Json& container = spec["containers"][0];
    ASSERT_EQ(container["image"].text(), "millrace/millrace:1.0");
    ASSERT_EQ(container["command"].dump(), R"(["/usr/bin/millrace-broker"])");
    ASSERT_FALSE(container["securityContext"]["allowPrivilegeEscalation"].boolean(true));
    ASSERT_TRUE(container["securityContext"]["readOnlyRootFilesystem"].boolean());
    ASSERT_FALSE(container["securityContext"].has("privileged"));
    for (const Json& volume : spec["volumes"].items()) {
        expect_harmless_volume(volume);
    }
}

TEST(Safety, no_cluster_yields_other_kinds_other_namespaces_or_other_pods) {
    Random random(11);
    int taken = 0;
    for (int i = 0; i < 600; ++i) {
        Json spec = rich_spec();
        if (i % 2 == 0) {
            spec["tls"] = Json::object({{"ca", i % 4 == 0 ? "Managed" : "Secret"}});
            spec["tls"]["secretName"] = "ours";
        }
        for (auto times = 1 + random() % 3; times > 0; --times) {
            spoil(random, spec);
        }
        World world;
        world.apply_cluster(spec.dump());
        for (int round = 0; round < 3; ++round) {
            const auto outcome = world.round();
            (void)outcome;  // Refused or not: only what was written counts.
            world.kube->step();
        }
        for (const std::string& line : world.kube->journal()) {
            const std::string kind =
                line.substr(line.find(' ') + 1, line.rfind(' ') - line.find(' ') - 1);
            const std::set<std::string> ours = {"clusters", "pods",       "persistentvolumeclaims",
                                                "services", "configmaps", "poddisruptionbudgets",
                                                "secrets"};
            ASSERT_TRUE(ours.contains(kind)) << line;
        }
        for (const kube::Kind& kind : {kube::pods, kube::claims, kube::services, kube::config_maps,
                                       kube::secrets, kube::disruption_budgets}) {
            for (const Json& object : world.kube->all(kind)) {
                ASSERT_EQ(object["metadata"]["namespace"].text(), "default") << object.dump();
                ASSERT_TRUE(object["metadata"]["name"].text().starts_with("main-"))
                    << object.dump();
            }
        }
        for (const Json& pod : world.kube->all(kube::pods)) {
            ++taken;
            expect_harmless_pod(pod);
            ASSERT_FALSE(HasFatalFailure()) << spec.dump();
        }
        for (const std::string& read : world.kube->reads()) {
            ASSERT_TRUE(read.find(" default/") != std::string::npos) << read;
        }
        for (const Json& file : world.kube->all(kube::config_maps)) {
            const std::string& text = file["data"]["server.properties"].text();
            ASSERT_EQ(text.find("\nprocess.roles="), text.rfind("\nprocess.roles=")) << text;
        }
    }
    EXPECT_GT(taken, 300) << "most were refused: the test shows little";
}

bool has_topic(World& world, const std::string& name) {
    millrace::admin::v1::DescribeTopicsRequest request;
    request.add_topics()->set_name(name);
    const auto answer = world.kube->brokers().DescribeTopics(request);
    return answer && answer->topics_size() > 0 && answer->topics(0).error().kafka_error() == 0;
}

TEST(
    Safety,
    no_topic_yields_more_than_its_own_status_or_reaches_a_cluster_that_does_not_name_its_namespace) {
    Random random(12);
    for (int i = 0; i < 300; ++i) {
        Json spec = *Json::parse(R"({"clusterRef": {"name": "main", "namespace": "default"},
            "name": "orders", "partitions": 3, "replicas": 3, "deletionPolicy": "Delete",
            "config": {"retention.ms": "1000"}})");
        for (auto times = 1 + random() % 3; times > 0; --times) {
            spoil(random, spec);
        }
        World world;
        world.apply_cluster(three_brokers);
        world.settle();
        Json topic = Json(Json::Object{});
        topic["metadata"]["name"] = "orders";
        topic["metadata"]["namespace"] = "foreign";
        topic["spec"] = spec;
        world.kube->put(topics, std::move(topic));
        world.kube->forget_journal();
        for (int round = 0; round < 3; ++round) {
            const auto outcome = world.round();
            (void)outcome;
            world.kube->step();
        }
        for (const std::string& line : world.kube->journal()) {
            ASSERT_TRUE(line.find(" topics orders") != std::string::npos) << line << spec.dump();
        }
        ASSERT_FALSE(has_topic(world, "orders")) << spec.dump();
    }
}

}  // namespace
}  // namespace millrace::reconcile
