// The key under which passwords of mirror links lie in the metadata: made once, for clusters whose
// pods mount it; a cluster of an earlier operator goes on as it is until somebody says otherwise.
#include <gmock/gmock.h>

#include "operator/kube/base64.h"
#include "tests/unit/reconcile/fixture.h"

namespace millrace::reconcile {
namespace {

using testing::HasSubstr;
using testing::Not;

class LinksKey : public testing::Test {
protected:
    static constexpr const char* spec = R"({"replicas": 3, "storage": {"size": "1Gi"}})";
    static constexpr const char* second_template =
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "rolling": {"revision": 2}})";

    std::string key() const {
        const auto secret = world.kube->find(kube::secrets, {"default", "main-links-key"});
        return secret ? *kube::from_base64((*secret)["data"]["key"].text()) : "";
    }
    bool mounts_it(const std::string& pod) const {
        const Json found = *world.kube->find(kube::pods, {"default", pod});
        return found["spec"].dump().find("main-links-key") != std::string::npos;
    }
    std::string settings() const {
        std::string all;
        for (const Json& map : world.kube->all(kube::config_maps)) {
            all += map["data"]["server.properties"].text();
        }
        return all;
    }
    /// As an operator left it that knew nothing of the key.
    void apply_old_cluster() {
        Json object = Json(Json::Object{});
        object["metadata"]["name"] = "main";
        object["metadata"]["namespace"] = "default";
        object["spec"] = *Json::parse(spec);
        object["status"]["revision"] = Json::object({{"current", 1}, {"target", 1}});
        world.kube->put(clusters, std::move(object));
    }

    World world;
};

TEST_F(LinksKey, of_a_new_cluster_is_made_mounted_and_told_to_brokers) {
    world.apply_cluster(spec);
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
    EXPECT_EQ(key().size(), 45U);  // 32 bytes in base64, and the end of the line.
    EXPECT_TRUE(mounts_it("main-0"));
    EXPECT_THAT(settings(), HasSubstr("millrace.links.key.file=/etc/millrace-links/key\n"));
    EXPECT_EQ(world.cluster()["status"]["revision"]["target"].integer(), 2);
}

TEST_F(LinksKey, is_never_changed_by_itself) {
    world.apply_cluster(spec);
    world.settle();
    const std::string made = key();
    world.new_operator();
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"auto.create.topics.enable": "false"}})");
    world.settle();
    EXPECT_EQ(key(), made);
}

TEST_F(LinksKey, of_two_clusters_differs) {
    world.apply_cluster(spec);
    world.settle();
    World other;
    other.apply_cluster(spec);
    other.settle();
    const auto secret = other.kube->find(kube::secrets, {"default", "main-links-key"});
    ASSERT_TRUE(secret);
    EXPECT_NE(*kube::from_base64((*secret)["data"]["key"].text()), key());
}

TEST_F(LinksKey, restarts_nobody_of_a_cluster_of_an_earlier_operator) {
    apply_old_cluster();
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
    EXPECT_FALSE(mounts_it("main-0"));
    EXPECT_EQ(key(), "");
    EXPECT_THAT(settings(), Not(HasSubstr("millrace.links")));
    EXPECT_EQ(world.cluster()["status"]["revision"]["target"].integer(), 1);
}

TEST_F(LinksKey, comes_to_an_earlier_cluster_when_its_revision_is_moved_and_stays) {
    apply_old_cluster();
    world.settle();
    const auto before = world.pod_uids();
    world.apply_cluster(second_template);
    world.settle();
    for (const auto& [name, uid] : world.pod_uids()) {
        EXPECT_NE(uid, before.at(name)) << name;
        EXPECT_TRUE(mounts_it(name)) << name;
    }
    EXPECT_NE(key(), "");

    const auto rolled = world.pod_uids();
    world.apply_cluster(spec);  // "The last one set" holds.
    world.settle();
    EXPECT_EQ(world.pod_uids(), rolled);
    EXPECT_EQ(world.cluster()["status"]["revision"]["current"].integer(), 2);
}

TEST_F(LinksKey, outlives_the_cluster_where_its_disks_do) {
    world.apply_cluster(spec);
    world.settle();
    EXPECT_FALSE((*world.kube->find(kube::secrets, {"default", "main-links-key"}))["metadata"].has(
        "ownerReferences"));
}

TEST_F(LinksKey, goes_with_the_cluster_where_its_disks_do) {
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi", "retention": {"whenDeleted": "Delete"}}})");
    world.settle();
    EXPECT_TRUE((*world.kube->find(kube::secrets, {"default", "main-links-key"}))["metadata"].has(
        "ownerReferences"));
}

TEST_F(LinksKey, that_is_lost_is_told_where_there_are_links_and_made_anew_in_silence_elsewhere) {
    const auto told = [&] {
        world.kube->take_away(kube::secrets, {"default", "main-links-key"});
        world.kube->bring_caches_up_to_date();
        const auto plan = world.cluster_reconciler->plan({"default", "main"});
        std::string all;
        for (const planner::Warning& warning : (*plan)->warnings) {
            all += warning.reason;
        }
        return all;
    };
    world.apply_cluster(spec);
    world.settle();
    EXPECT_EQ(told(), "");
    world.settle();
    EXPECT_NE(key(), "");
    for (const char* destination : {"other", "main"}) {
        Json link = Json(Json::Object{});
        link["metadata"]["name"] = fmt::format("to-{}", destination);
        link["metadata"]["namespace"] = "default";
        link["spec"]["clusterRef"]["name"] = destination;
        world.kube->put(mirror_links, std::move(link));
        EXPECT_EQ(told(), std::string(destination) == "main" ? "LinksKeyLost" : "");
        world.settle();
    }
}

TEST_F(LinksKey, of_a_persons_own_goes_first) {
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"millrace.links.key.file": "/x"}})");
    world.settle();
    EXPECT_THAT(settings(), HasSubstr("millrace.links.key.file=/x\n"));
}

}  // namespace
}  // namespace millrace::reconcile
