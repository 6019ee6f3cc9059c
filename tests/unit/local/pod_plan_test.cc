// How a pod becomes a process.
#include "operator/local/internal/pod_plan.h"

#include <gmock/gmock.h>

#include "fixture.h"

namespace millrace::local {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class PodPlan : public testing::Test {
protected:
    PodPlan() {
        put("clusters.millrace.dev", "main", "{metadata: {name: main, uid: u1}}");
        put("configmaps", "config", "{data: {f: 'dir=/data/x other=/database'}}");
        put("secrets", "keys", "{data: {k: aGVsbG8=}}");
        put("persistentvolumeclaims", "d", "{spec: {volumeName: pvc-1}}");
        pod = yaml(
            "{metadata: {name: main-0, namespace: ns, uid: p1, labels: {zone: b}, ownerReferences: "
            "[{apiVersion: millrace.dev/v1, kind: Cluster, name: main, uid: u1, controller: "
            "true}]}, status: {podIP: 127.0.0.9}, spec: {volumes: [{name: v, "
            "persistentVolumeClaim: {claimName: d}}, {name: c, configMap: {name: config}}, {name: "
            "s, secret: {secretName: keys}}], containers: [{name: b, volumeMounts: [{name: v, "
            "mountPath: /data}, {name: c, mountPath: /etc/c}, {name: s, mountPath: /etc/s}]}]}}");
    }
    void put(const std::string& storage, const std::string& name, std::string_view text) {
        store.put({storage, "ns", name}, yaml(text));
    }
    LaunchPlan plan() {
        return plan_container(store, pod, pod["spec"]["containers"][0], "/local", "/bin/broker");
    }
    Json& container() { return pod["spec"]["containers"][std::size_t{0}]; }

    Store store;
    Json pod;
};

TEST_F(PodPlan, rewrites_mount_paths_in_arguments_and_config_maps) {
    container()["args"] = yaml("[--dir=/data/logs, /etc/c/f, /database]");
    const LaunchPlan made = plan();
    EXPECT_EQ(made.waiting_reason, "");
    EXPECT_THAT(made.arguments, ElementsAre("--dir=/local/volumes/pvc-1/logs",
                                            "/local/pods/p1/volumes/c/f", "/database"));
    ASSERT_EQ(made.files.size(), 2u);
    EXPECT_EQ(made.files[0].text, "dir=/local/volumes/pvc-1/x other=/database");
    EXPECT_EQ(made.files[1].text, "hello");
}

TEST_F(PodPlan, fills_in_the_environment) {
    container()["env"] = yaml(
        "[{name: ZONE, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['zone']\"}}}, {name: "
        "IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}, {name: URL, value: "
        "'http://$(IP)/$$(IP)/$(NO)'}]");
    LaunchPlan made = plan();
    EXPECT_EQ(made.environment["ZONE"], "b");
    EXPECT_EQ(made.environment["URL"], "http://127.0.0.9/$(IP)/$(NO)");
}

TEST_F(PodPlan, waits_for_a_secret_that_is_not_there_yet) {
    store.remove({"secrets", "ns", "keys"});
    EXPECT_EQ(plan().waiting_reason, "ContainerCreating");
    EXPECT_EQ(plan().waiting_message, "secret \"keys\" not found");
}

TEST_F(PodPlan, refuses_any_other_program) {
    container()["command"] = yaml("[/bin/sh, -c, x]");
    EXPECT_EQ(plan().waiting_reason, "CreateContainerError");
    container()["command"] = yaml("[/usr/bin/broker, --x]");
    EXPECT_THAT(plan().arguments, ElementsAre("--x"));
}

TEST_F(PodPlan, refuses_a_pod_whose_owner_does_not_exist) {
    pod["metadata"]["ownerReferences"][std::size_t{0}]["uid"] = "u2";
    EXPECT_THAT(plan().waiting_message, HasSubstr("no such owner"));
    pod["metadata"].erase("ownerReferences");
    EXPECT_THAT(plan().waiting_message, HasSubstr("no such owner"));
}

TEST_F(PodPlan, lets_no_key_leave_its_volume) {
    put("configmaps", "config", "{data: {../../../etc/passwd: x, f: y}}");
    for (const PlannedFile& file : plan().files) {
        EXPECT_THAT(file.path.string(), testing::Not(HasSubstr("passwd")));
    }
    container()["volumeMounts"][std::size_t{0}]["subPath"] = "../..";
    EXPECT_EQ(plan().waiting_reason, "CreateContainerConfigError");
}

}  // namespace
}  // namespace millrace::local
