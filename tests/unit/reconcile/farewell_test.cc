// An operator that is ended together with its namespace.
#include "operator/reconcile/farewell.h"

#include <gmock/gmock.h>

#include "operator/planner/link_planner.h"
#include "operator/planner/topic_planner.h"
#include "tests/unit/reconcile/fixture.h"

namespace millrace::reconcile {
namespace {

class Farewell : public testing::Test {
protected:
    Farewell() {
        add(topics, "default", "ours", {std::string(planner::topic_finalizer), "somebody/else"});
        add(topics, "default", "plain", {});
        add(topics, "beside", "theirs", {std::string(planner::topic_finalizer)});
        add(mirror_links, "default", "link", {std::string(planner::link_finalizer)});
    }
    void add(const kube::Kind& kind, const std::string& space, const std::string& name,
             const std::vector<std::string>& finalizers) {
        Json object = Json::object(
            {{"apiVersion", std::string(kind.api_version)}, {"kind", std::string(kind.kind)}});
        object["metadata"] = Json::object({{"name", name}, {"namespace", space}});
        for (const std::string& one : finalizers) {
            object["metadata"]["finalizers"].push_back(one);
        }
        kube.put(kind, std::move(object));
    }
    void add_namespace(bool goes) {
        Json object = Json::object({{"apiVersion", "v1"}, {"kind", "Namespace"}});
        object["metadata"] = Json::object({{"name", "default"}});
        if (goes) {
            object["metadata"]["deletionTimestamp"] = "2026-11-22T00:00:00Z";
        }
        kube.put(kube::namespaces, std::move(object));
    }
    std::vector<std::string> finalizers(const kube::Kind& kind, const std::string& space,
                                        const std::string& name) {
        std::vector<std::string> texts;
        const std::optional<Json> found = kube.find(kind, {space, name});
        for (const Json& one : (*found)["metadata"]["finalizers"].items()) {
            texts.push_back(one.text());
        }
        return texts;
    }
    sim_kube::SimKube kube;
};

TEST_F(Farewell, a_namespace_that_goes_waits_for_none_of_the_operators_finalizers) {
    add_namespace(true);
    EXPECT_EQ(*leave_namespace(kube, "default"), 2);
    EXPECT_THAT(finalizers(topics, "default", "ours"), testing::ElementsAre("somebody/else"));
    EXPECT_THAT(finalizers(mirror_links, "default", "link"), testing::IsEmpty());
    EXPECT_THAT(finalizers(topics, "beside", "theirs"),
                testing::ElementsAre(planner::topic_finalizer));
}

TEST_F(Farewell, a_namespace_that_stays_keeps_them_for_the_next_operator) {
    add_namespace(false);
    EXPECT_EQ(*leave_namespace(kube, "default"), 0);
    EXPECT_EQ(kube.writes(), 0);
}

TEST_F(Farewell, somebody_who_writes_at_the_same_time_holds_nothing_up) {
    add_namespace(true);
    kube.refuse("merge", Code::fenced, 2);
    EXPECT_EQ(*leave_namespace(kube, "default"), 2);
}

TEST_F(Farewell, what_is_refused_is_told_and_the_others_go_on) {
    add_namespace(true);
    kube.refuse("merge", Code::permission);
    EXPECT_FALSE(leave_namespace(kube, "default"));
    EXPECT_THAT(finalizers(mirror_links, "default", "link"), testing::IsEmpty());
}

}  // namespace
}  // namespace millrace::reconcile
