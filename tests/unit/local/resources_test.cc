// The life of objects.
#include <gmock/gmock.h>

#include "fixture.h"
#include "operator/local/internal/table.h"

namespace millrace::local {
namespace {

using testing::HasSubstr;

class Life : public LocalApi {
protected:
    static std::string cluster_text(std::string_view spec) {
        return "apiVersion: millrace.dev/v1\nkind: Cluster\nmetadata: {name: main}\nspec: " +
               std::string(spec);
    }
    ApiResult<Json> create_cluster(std::string_view spec = "{storage: {size: 1Gi}}") {
        return create("clusters.millrace.dev", cluster_text(spec));
    }
    std::string why(std::string_view spec) {
        const auto refused = create_cluster(spec);
        return refused.has_value() ? "" : refused.error().message;
    }
    ApiResult<Json> create_owned(const std::string& name, const std::string& owner_uid) {
        return create(
            "configmaps",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name +
                ", ownerReferences: [{apiVersion: v1, kind: X, name: x, uid: " + owner_uid + "}]}");
    }
};

TEST_F(Life, a_new_object_has_identity_and_generation) {
    const auto made = create_cluster();
    ASSERT_TRUE(made.has_value());
    const Json& metadata = (*made)["metadata"];
    EXPECT_EQ(metadata["generation"].integer(), 1);
    EXPECT_EQ(metadata["namespace"].text(), "default");
    EXPECT_EQ(metadata["creationTimestamp"].text(), "2027-01-15T08:00:00Z");
    EXPECT_FALSE(metadata["uid"].text().empty());
}

TEST_F(Life, the_schema_is_enforced_in_the_words_of_the_api) {
    EXPECT_EQ(why("{}"), "Cluster.millrace.dev \"main\" is invalid: spec.storage: Required value");
    EXPECT_EQ(why("{storage: {size: 1Gi}, replicas: 0}"),
              "Cluster.millrace.dev \"main\" is invalid: spec.replicas: Invalid value: 0: "
              "spec.replicas in body should be greater than or equal to 1");
    EXPECT_THAT(why("{storage: {size: 1Gi}, mode: x}"),
                HasSubstr("Unsupported value: \"x\": supported values: \"Fast\", \"Safe\""));
    EXPECT_THAT(why("{storage: {size: 1Gi}, replicas: many}"),
                HasSubstr("must be of type integer: \"string\""));
    EXPECT_THAT(why("{storage: {size: 1Gi}, listeners: [{name: a, port: 1}, {name: a, port: 2}]}"),
                HasSubstr("Duplicate value"));
    EXPECT_THAT(why("{storage: {size: 1Gi, foo: 1}}"),
                HasSubstr("strict decoding error: unknown field \"spec.storage.foo\""));
}

TEST_F(Life, generation_counts_changes_of_the_spec_only) {
    ASSERT_TRUE(create_cluster().has_value());
    ASSERT_TRUE(
        patch("clusters.millrace.dev", "main", PatchType::merge, "{metadata: {labels: {a: b}}}")
            .has_value());
    EXPECT_EQ(get("clusters.millrace.dev", "main")["metadata"]["generation"].integer(), 1);
    ASSERT_TRUE(patch("clusters.millrace.dev", "main", PatchType::merge, "{spec: {replicas: 4}}")
                    .has_value());
    EXPECT_EQ(get("clusters.millrace.dev", "main")["metadata"]["generation"].integer(), 2);
}

TEST_F(Life, a_status_is_written_through_its_subresource_only) {
    ASSERT_TRUE(create_cluster().has_value());
    const std::string path = "/apis/millrace.dev/v1/namespaces/default/clusters/main";
    const std::string body = R"({"spec":{"replicas":9},"status":{"phase":"Ready"}})";
    EXPECT_EQ(call("PATCH", path + "/status", body, "application/merge-patch+json").code, 200);
    Json stored = get("clusters.millrace.dev", "main");
    EXPECT_EQ(stored["status"]["phase"].text(), "Ready");
    EXPECT_EQ(stored["spec"]["replicas"].integer(), 3);
    EXPECT_EQ(
        call("PATCH", path, R"({"status":{"phase":"x"}})", "application/merge-patch+json").code,
        200);
    EXPECT_EQ(get("clusters.millrace.dev", "main")["status"]["phase"].text(), "Ready");
}

TEST_F(Life, scale_reads_and_writes_the_replicas) {
    ASSERT_TRUE(create_cluster().has_value());
    const std::string path = "/apis/millrace.dev/v1/namespaces/default/clusters/main/scale";
    EXPECT_EQ((*Json::parse(call("GET", path).body))["spec"]["replicas"].integer(), 3);
    EXPECT_EQ(
        call("PATCH", path, R"({"spec":{"replicas":6}})", "application/merge-patch+json").code,
        200);
    EXPECT_EQ(get("clusters.millrace.dev", "main")["spec"]["replicas"].integer(), 6);
    EXPECT_EQ(
        call("PATCH", path, R"({"spec":{"replicas":0}})", "application/merge-patch+json").code,
        422);
}

TEST_F(Life, a_stale_version_is_a_conflict) {
    ASSERT_TRUE(create_cluster().has_value());
    Json stale = get("clusters.millrace.dev", "main");
    ASSERT_TRUE(patch("clusters.millrace.dev", "main", PatchType::merge, "{spec: {replicas: 4}}")
                    .has_value());
    WriteOptions options;
    const auto refused = resources.update(cluster(), "default", "main", stale, options);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, 409);
    EXPECT_THAT(refused.error().message, HasSubstr("the object has been modified"));
}

TEST_F(Life, an_update_without_a_change_writes_nothing) {
    ASSERT_TRUE(create_cluster().has_value());
    const std::uint64_t before = store.version();
    now = now + std::chrono::hours(1);
    ASSERT_TRUE(patch("clusters.millrace.dev", "main", PatchType::merge, "{spec: {replicas: 3}}")
                    .has_value());
    EXPECT_EQ(store.version(), before);
}

TEST_F(Life, a_finalizer_holds_an_object_until_it_is_taken_off) {
    ASSERT_TRUE(create("configmaps",
                       "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, "
                       "finalizers: [x/y]}")
                    .has_value());
    ASSERT_TRUE(erase("configmaps", "c").has_value());
    EXPECT_TRUE(get("configmaps", "c")["metadata"].has("deletionTimestamp"));
    ASSERT_TRUE(
        patch("configmaps", "c", PatchType::merge, "{metadata: {finalizers: null}}").has_value());
    EXPECT_TRUE(get("configmaps", "c").is_null());
}

TEST_F(Life, a_precondition_on_the_uid_protects_the_successor) {
    ASSERT_TRUE(create_cluster().has_value());
    const auto refused =
        erase("clusters.millrace.dev", "main", yaml("{preconditions: {uid: somebody-else}}"));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, 409);
}

TEST_F(Life, what_no_owner_holds_any_more_is_collected) {
    const auto owner = create_cluster();
    const std::string uid = (*owner)["metadata"]["uid"].text();
    ASSERT_TRUE(create_owned("mine", uid).has_value());
    run_controllers(resources);
    EXPECT_FALSE(get("configmaps", "mine").is_null());
    ASSERT_TRUE(erase("clusters.millrace.dev", "main").has_value());
    run_controllers(resources);
    EXPECT_TRUE(get("configmaps", "mine").is_null());
}

TEST_F(Life, a_foreground_deletion_waits_for_the_dependents) {
    const auto owner = create_cluster();
    ASSERT_TRUE(create_owned("mine", (*owner)["metadata"]["uid"].text()).has_value());
    ASSERT_TRUE(erase("clusters.millrace.dev", "main", yaml("{propagationPolicy: Foreground}"))
                    .has_value());
    EXPECT_FALSE(get("clusters.millrace.dev", "main").is_null());
    run_controllers(resources);
    EXPECT_TRUE(get("configmaps", "mine").is_null());
    EXPECT_TRUE(get("clusters.millrace.dev", "main").is_null());
}

TEST_F(Life, an_orphaning_deletion_leaves_the_dependents) {
    const auto owner = create_cluster();
    ASSERT_TRUE(create_owned("mine", (*owner)["metadata"]["uid"].text()).has_value());
    ASSERT_TRUE(
        erase("clusters.millrace.dev", "main", yaml("{propagationPolicy: Orphan}")).has_value());
    run_controllers(resources);
    EXPECT_TRUE(get("clusters.millrace.dev", "main").is_null());
    EXPECT_FALSE(get("configmaps", "mine")["metadata"].has("ownerReferences"));
}

TEST_F(Life, controllers_that_have_nothing_to_do_write_nothing) {
    ASSERT_TRUE(create_cluster().has_value());
    run_controllers(resources);
    const std::uint64_t before = store.version();
    now = now + std::chrono::minutes(5);
    run_controllers(resources);
    EXPECT_EQ(store.version(), before);
}

class Pods : public LocalApi {
protected:
    void create_pod(const std::string& name, const std::string& extra = "") {
        const auto made =
            create("pods", "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name +
                               ", labels: {app: x}}\nspec: {containers: [{name: a}]" + extra + "}");
        ASSERT_TRUE(made.has_value()) << made.error().message;
    }
};

// It was "none matches the pod's node selector and volumes", and the node was shown as any other.
TEST_F(Pods, that_find_no_place_are_told_of_cordoned_nodes) {
    for (const char* name : {"local-a", "local-b"}) {
        const ObjectKey key{"nodes", "", name};
        Json node = *store.get(key);
        node["spec"]["unschedulable"] = true;
        resources.write(key, std::move(node));
    }
    create_pod("one", ", nodeSelector: {topology.kubernetes.io/zone: a}");
    run_controllers(resources);
    EXPECT_EQ(
        get("pods", "one")["status"]["conditions"][0]["message"].text(),
        "0/3 nodes are available: 2 unschedulable (kubectl uncordon local-a local-b), 1 do not "
        "match the pod's node selector and volumes");
    const Json table = to_table(
        kind("nodes"), {*store.get({"nodes", "", "local-a"}), *store.get({"nodes", "", "local-c"})},
        "None", {}, true);
    EXPECT_EQ(table["rows"][0]["cells"][1].text(), "Ready,SchedulingDisabled");
    EXPECT_EQ(table["rows"][1]["cells"][1].text(), "Ready");
}

TEST_F(Pods, are_spread_over_the_zones_and_get_addresses_that_stay) {
    for (const char* name : {"p0", "p1", "p2"}) {
        create_pod(name);
    }
    run_controllers(resources);
    std::string zones;
    for (const char* name : {"p0", "p1", "p2"}) {
        zones += get("pods", name)["metadata"]["labels"]["topology.kubernetes.io/zone"].text();
    }
    EXPECT_EQ(zones, "abc");
    EXPECT_EQ(get("pods", "p1")["status"]["podIP"].text(), "127.81.1.2");
    ASSERT_TRUE(erase("pods", "p1", yaml("{gracePeriodSeconds: 0}")).has_value());
    create_pod("p9");
    create_pod("p1");
    run_controllers(resources);
    EXPECT_EQ(get("pods", "p1")["status"]["podIP"].text(), "127.81.1.2");
}

TEST_F(Pods, go_where_they_would_rather_be_among_places_as_good) {
    create_pod("p0",
               R"(, affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [
        {weight: 100, preference: {matchExpressions: [
            {key: topology.kubernetes.io/zone, operator: In, values: [c]}]}}]}})");
    run_controllers(resources);
    EXPECT_EQ(get("pods", "p0")["spec"]["nodeName"].text(), "local-c");
}

TEST_F(Pods, say_which_claim_they_wait_for) {
    create_pod("p0", ", volumes: [{name: d, persistentVolumeClaim: {claimName: none}}]");
    run_controllers(resources);
    EXPECT_EQ(get("pods", "p0")["status"]["conditions"][0]["message"].text(),
              "persistentvolumeclaim \"none\" not found");
}

TEST_F(Pods, come_back_to_the_zone_of_their_volume) {
    ASSERT_TRUE(create("persistentvolumeclaims",
                       "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: d}\nspec: "
                       "{accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}")
                    .has_value());
    create_pod("p0");
    const std::string volume = ", volumes: [{name: d, persistentVolumeClaim: {claimName: d}}]";
    create_pod("p1", volume);
    run_controllers(resources);
    ASSERT_EQ(get("pods", "p1")["spec"]["nodeName"].text(), "local-b");
    ASSERT_TRUE(erase("pods", "p0", yaml("{gracePeriodSeconds: 0}")).has_value());
    ASSERT_TRUE(erase("pods", "p1", yaml("{gracePeriodSeconds: 0}")).has_value());
    create_pod("p1", volume);
    run_controllers(resources);
    EXPECT_EQ(get("pods", "p1")["spec"]["nodeName"].text(), "local-b");
}

TEST_F(Pods, that_run_are_given_their_grace_period) {
    create_pod("p0");
    run_controllers(resources);
    ASSERT_TRUE(erase("pods", "p0").has_value());
    EXPECT_EQ(get("pods", "p0")["metadata"]["deletionGracePeriodSeconds"].integer(), 30);
}

TEST_F(Pods, keep_their_spec_but_for_the_image) {
    create_pod("p0");
    EXPECT_TRUE(
        patch("pods", "p0", PatchType::strategic, "{spec: {containers: [{name: a, image: new}]}}")
            .has_value());
    const auto refused =
        patch("pods", "p0", PatchType::strategic, "{spec: {containers: [{name: a, args: [x]}]}}");
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(refused.error().message, HasSubstr("pod updates may not change fields"));
}

TEST_F(LocalApi, a_claim_grows_and_never_shrinks) {
    ASSERT_TRUE(create("persistentvolumeclaims",
                       "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: d}\nspec: "
                       "{accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}")
                    .has_value());
    run_controllers(resources);
    ASSERT_TRUE(patch("persistentvolumeclaims", "d", PatchType::merge,
                      "{spec: {resources: {requests: {storage: 2Gi}}}}")
                    .has_value());
    run_controllers(resources);
    EXPECT_EQ(get("persistentvolumeclaims", "d")["status"]["capacity"]["storage"].text(), "2Gi");
    EXPECT_EQ(patch("persistentvolumeclaims", "d", PatchType::merge,
                    "{spec: {resources: {requests: {storage: 1Gi}}}}")
                  .error()
                  .code,
              422);
}

TEST_F(LocalApi, a_namespace_takes_its_objects_with_it) {
    WriteOptions options;
    ASSERT_TRUE(resources
                    .create(kind("namespaces"), "",
                            yaml("apiVersion: v1\nkind: Namespace\nmetadata: {name: n}"), options)
                    .has_value());
    ASSERT_TRUE(resources
                    .create(kind("configmaps"), "n",
                            yaml("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}"), options)
                    .has_value());
    ASSERT_TRUE(resources.erase(kind("namespaces"), "", "n", {}, false).has_value());
    run_controllers(resources);
    EXPECT_EQ(store.get({"namespaces", "", "n"}), nullptr);
    EXPECT_EQ(store.get({"configmaps", "n", "c"}), nullptr);
}

TEST_F(LocalApi, a_rule_is_judged_by_its_predicate) {
    RuleTable table{{"self.a <= self.b", [](const Json& self, const Json*) {
                         return self["a"].integer() <= self["b"].integer();
                     }}};
    const Json schema = yaml(
        "{type: object, x-kubernetes-validations: [{rule: self.a <= self.b, message: a above b}]}");
    EXPECT_TRUE(validate(kinds.schemas(), schema, yaml("{a: 1, b: 2}"), nullptr, table).empty());
    const auto errors = validate(kinds.schemas(), schema, yaml("{a: 3, b: 2}"), nullptr, table);
    ASSERT_EQ(errors.size(), 1u);
    EXPECT_EQ(errors[0].message, "Invalid value: \"object\": a above b");
}

TEST_F(LocalApi, a_rule_without_a_predicate_stops_the_start) {
    Json with_rule = crd;
    with_rule["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"] =
        yaml("[{rule: self.nobody.knows, message: x}]");
    EXPECT_FALSE(KindTable::make({with_rule}, {}).has_value());
}

}  // namespace
}  // namespace millrace::local
