// What Kubernetes' objects say about one broker, in words for a person.
#include "operator/planner/world.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "operator/kube/time_text.h"

namespace millrace::planner {
namespace {

constexpr Timestamp now{1'700'000'000'000};

std::string trouble(const std::string& status) {
    Json pod = *Json::parse(R"({"metadata": {"labels": {"millrace.dev/broker": "1"}},
                                "spec": {"nodeName": "n"}})");
    pod["status"] = *Json::parse(status);
    return facts_of(std::make_shared<const Json>(std::move(pod)), "").trouble;
}

Json warning(const std::string& reason, const std::string& message, Duration ago = 0s) {
    return Json::object({{"type", "Warning"},
                         {"reason", reason},
                         {"message", message},
                         {"lastTimestamp", kube::time_text(now + Duration(-ago))}});
}

constexpr const char* needs_memory =
    "the broker is killed: it needs more memory than resources.limits has";

TEST(PodTrouble, a_limit_too_low_to_be_started_in_is_told_as_such_by_whoever_says_it) {
    EXPECT_EQ(trouble(R"json({"containerStatuses": [{"state": {"waiting": {"reason":
        "CrashLoopBackOff"}}, "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}]})json"),
              needs_memory);
    EXPECT_EQ(
        trouble(R"json({"containerStatuses": [{"state": {"terminated": {"reason": "StartError",
        "exitCode": 128, "message": "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: container init was OOM-killed (memory limit too low?): unknown"}}}]})json"),
        needs_memory);
    EXPECT_EQ(
        trouble(R"json({"containerStatuses": [{"state": {"waiting": {"reason": "RunContainerError",
        "message": "container init was OOM-killed (memory limit too low?)"}}}]})json"),
        needs_memory);
    EXPECT_EQ(why_not_made({warning("FailedCreatePodSandBox",
                                    "Failed to create pod sandbox: rpc error: code = Unknown desc "
                                    "= runc: container init was OOM-killed (memory limit too "
                                    "low?)")},
                           now, {}),
              needs_memory);
}

TEST(PodTrouble, what_the_broker_said_itself_is_not_taken_for_the_runtimes_words) {
    EXPECT_EQ(trouble(R"json({"containerStatuses": [{"state": {"terminated": {"reason": "Error",
        "exitCode": 2, "message": "topic OOM-killed is no name\n"}}}]})json"),
              "the broker ends with exit code 2: topic OOM-killed is no name");
}

TEST(PodTrouble, the_brokers_own_last_words_go_before_its_supervisors) {
    for (const char* const message :
         {R"(info supervisor.watches\nmillrace-broker: memory: too few\n)",
          R"(millrace-broker: memory: too few\ninfo supervisor.watches\n)",
          R"(info a\nmillrace-broker: memory: too few\ninfo supervisor.watches\n)"}) {
        EXPECT_EQ(trouble(fmt::format(R"json({{"containerStatuses": [{{"state": {{"terminated":
            {{"reason": "Error", "exitCode": 2, "message": "{}"}}}}}}]}})json",
                                      message)),
                  "the broker ends with exit code 2: millrace-broker: memory: too few");
    }
}

TEST(PodTrouble, who_killed_it_is_not_left_open) {
    EXPECT_EQ(trouble(R"json({"containerStatuses": [{"state": {"terminated": {"reason": "Error",
        "exitCode": 137, "message": "info all is well\n"}}}]})json"),
              "the broker was killed from outside (SIGKILL, exit code 137)");
}

// Once it runs again, how it ended is told until it has started, and no longer.
TEST(PodFacts, a_broker_that_starts_again_says_why) {
    const auto facts = [](const char* started) {
        return facts_of(std::make_shared<const Json>(*Json::parse(fmt::format(
                            R"json({{"status": {{"phase": "Running", "containerStatuses": [
            {{"restartCount": 1, "started": {}, "state": {{"running": {{}}}},
              "lastState": {{"terminated": {{"exitCode": 137}}}}}}]}}}})json",
                            started))),
                        "");
    };
    EXPECT_EQ(facts("false").last_end,
              "the broker was killed from outside (SIGKILL, exit code 137)");
    EXPECT_EQ(facts("true").last_end, "");
    EXPECT_FALSE(facts("false").stopped);
    EXPECT_EQ(facts("false").trouble, "");
}

TEST(PodTrouble, how_a_pod_ends_that_was_deleted_is_none) {
    const Json pod = *Json::parse(R"json({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"},
        "status": {"containerStatuses": [{"state": {"terminated": {"exitCode": 137}}}]}})json");
    EXPECT_EQ(facts_of(std::make_shared<const Json>(pod), "").trouble, "");
}

TEST(PodTrouble, a_secret_of_a_variable_that_is_missing_is_told_with_what_to_do) {
    EXPECT_EQ(trouble(R"json({"containerStatuses": [{"state": {"waiting": {"reason":
        "CreateContainerConfigError", "message": "secret \"nobodys\" not found"}}}]})json"),
              "CreateContainerConfigError: secret \"nobodys\" not found; create it, or name "
              "another one in spec.template");
}

TEST(PodTrouble, events_tell_it_the_same_way_each_time_they_are_repeated) {
    const std::string one = "Failed to create pod sandbox \"0af1b2c3d4e5f60718\": no network";
    const std::string other = "Failed to create pod sandbox \"77f1b2c3d4e5f60718\": no network";
    EXPECT_EQ(why_not_made({warning("FailedCreatePodSandBox", one)}, now, {}),
              "FailedCreatePodSandBox: Failed to create pod sandbox \"...\": no network");
    EXPECT_EQ(why_not_made({warning("FailedCreatePodSandBox", one)}, now, {}),
              why_not_made({warning("FailedCreatePodSandBox", other)}, now, {}));
    const Json mount = warning("FailedMount", "MountVolume.SetUp failed");
    const Json later = warning("FailedMount", "Unable to attach or mount volumes");
    EXPECT_EQ(why_not_made({mount, later}, now, {}), why_not_made({later, mount}, now, {}));
}

TEST(PodTrouble, events_that_are_old_ours_or_the_schedulers_tell_nothing) {
    const std::string message = "configmap \"main-1-config-abc\" not found";
    EXPECT_EQ(why_not_made({warning("FailedMount", message)}, now, {"main-1-config-"}), "");
    EXPECT_EQ(why_not_made({warning("FailedMount", message, 4min)}, now, {}), "");
    EXPECT_EQ(why_not_made({warning("FailedScheduling", "0/3 nodes")}, now, {}), "");
    Json normal = warning("Pulling", "Pulling image");
    normal["type"] = "Normal";
    EXPECT_EQ(why_not_made({normal}, now, {}), "");
}

TEST(PodTrouble, events_of_a_series_count_from_their_last_time) {
    Json event = warning("FailedMount", "no", 1h);
    event.erase("lastTimestamp");
    event["eventTime"] = kube::micro_time_text(now + Duration(-1h));
    EXPECT_EQ(why_not_made({event}, now, {}), "");
    event["series"]["lastObservedTime"] = kube::micro_time_text(now);
    EXPECT_EQ(why_not_made({event}, now, {}), "FailedMount: no");
}

const Json old_pod = *Json::parse(R"({"status": {"phase": "Running"}, "spec": {"containers": [
    {"resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}}]}})");

std::string refusal(const std::string& requested, const std::string& used,
                    const std::string& limited) {
    return "pods \"main-1\" is forbidden: exceeded quota: q, requested: " + requested +
           ", used: " + used + ", limited: " + limited;
}

TEST(QuotaRefusal, counts_back_the_share_of_the_pod_that_goes) {
    EXPECT_EQ(quota_refusal(refusal("limits.memory=2Gi", "limits.memory=6Gi", "limits.memory=6Gi"),
                            old_pod),
              "");
    const std::string too_much = refusal("cpu=1,limits.memory=2Gi", "cpu=1600m,limits.memory=6Gi",
                                         "cpu=2,limits.memory=6Gi");
    EXPECT_EQ(quota_refusal(too_much, old_pod),
              too_much +
                  "; even without the old pod's share that is too much: raise the quota, or "
                  "ask for less cpu in spec.resources");
    EXPECT_EQ(quota_refusal(refusal("pods=1,requests.cpu=500m", "pods=3,requests.cpu=2",
                                    "pods=3,requests.cpu=2"),
                            old_pod),
              "");
}

TEST(QuotaRefusal, a_pod_that_has_ended_or_isnt_there_gives_nothing_back) {
    Json ended = old_pod;
    ended["status"]["phase"] = "Failed";
    const std::string full = refusal("limits.memory=2Gi", "limits.memory=6Gi", "limits.memory=6Gi");
    EXPECT_NE(quota_refusal(full, ended), "");
    EXPECT_NE(quota_refusal(full, Json{}), "");
}

TEST(QuotaRefusal, what_it_cant_read_is_no_reason_to_hold_up_a_roll) {
    EXPECT_EQ(quota_refusal("exceeded quota: in words of another server", old_pod), "");
    EXPECT_EQ(quota_refusal(refusal("limits.memory=lots", "limits.memory=6Gi", "limits.memory=6Gi"),
                            old_pod),
              "");
}

}  // namespace
}  // namespace millrace::planner
