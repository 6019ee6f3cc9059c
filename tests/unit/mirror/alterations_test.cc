// What a link asks of the controller about settings travels together and keeps its order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mirror/internal/own_cluster.h"
#include "protocol/messages/incremental_alter_configs_request.h"
#include "protocol/messages/incremental_alter_configs_response.h"
#include "tests/support/manual_loop.h"

namespace millrace::mirror {
namespace {

using protocol::IncrementalAlterConfigsRequest;
using protocol::IncrementalAlterConfigsResponse;
using ::testing::ElementsAre;

/// Keeps requests until the test answers them.
struct HeldController final : Controller {
    struct Held {
        std::vector<std::string> texts;  ///< resource:setting=value, in the request's order.
        std::vector<std::string> resources;
        UniqueFunction<void(Result<Buffer>)> done;
    };

    void ask(std::int16_t, std::int16_t version, Buffer body,
             UniqueFunction<void(Result<Buffer>)> done) override {
        protocol::Reader reader(body);
        IncrementalAlterConfigsRequest request;
        request.decode(reader, version);
        ASSERT_TRUE(reader.ok());
        Held& one = held.emplace_back();
        for (const auto& resource : request.resources) {
            one.resources.emplace_back(resource.resource_name);
            for (const auto& config : resource.configs) {
                one.texts.push_back(fmt::format("{}:{}={}", resource.resource_name, config.name,
                                                config.value.value_or("-")));
            }
        }
        one.done = std::move(done);
    }
    /// The first request that waits; `refused` is the one resource that fails.
    void answer(const std::string& refused = {}) {
        Held one = std::move(held.front());
        held.erase(held.begin());
        IncrementalAlterConfigsResponse response;
        for (const std::string& name : one.resources) {
            auto& to = response.responses.emplace_back();
            to.resource_type = 2;
            to.resource_name = name;
            to.error_code = name == refused ? 42 : 0;
        }
        Buffer body;
        protocol::Writer writer(body);
        response.encode(writer, 1);
        one.done(std::move(body));
    }

    std::vector<Held> held;
};

struct MirrorAlterations : ::testing::Test {
    OwnCluster::Done noted(const std::string& what) {
        return [this, what](const Result<void>& outcome) {
            done.push_back(what + (outcome ? "" : " refused"));
        };
    }

    support::ManualLoop loop;
    HeldController controller;
    OwnCluster own{controller, loop};
    std::vector<std::string> done;
};

TEST_F(MirrorAlterations, what_is_asked_for_in_one_turn_is_one_request) {
    own.set_topic("a", {{"state", "promoted"}}, noted("a"));
    own.set_topic("b", {{"state", std::nullopt}}, noted("b"));
    loop.run_ready();
    ASSERT_EQ(controller.held.size(), 1U);
    EXPECT_THAT(controller.held[0].texts, ElementsAre("a:state=promoted", "b:state=-"));
    controller.answer("b");
    EXPECT_THAT(done, ElementsAre("a", "b refused"));
}

TEST_F(MirrorAlterations, what_comes_meanwhile_waits_and_goes_together) {
    own.set_topic("a", {{"state", "1"}}, noted("a"));
    loop.run_ready();
    own.set_topic("b", {{"state", "2"}}, noted("b"));
    own.set_topic("c", {{"state", "3"}}, noted("c"));
    loop.run_ready();
    EXPECT_EQ(controller.held.size(), 1U);
    controller.answer();
    loop.run_ready();
    ASSERT_EQ(controller.held.size(), 1U);
    EXPECT_THAT(controller.held[0].texts, ElementsAre("b:state=2", "c:state=3"));
}

TEST_F(MirrorAlterations, two_changes_of_one_topic_keep_their_order) {
    own.set_topic("a", {{"state", "1"}}, noted("first"));
    own.set_topic("a", {{"state", "2"}}, noted("second"));
    loop.run_ready();
    EXPECT_THAT(controller.held[0].texts, ElementsAre("a:state=1"));
    controller.answer();
    loop.run_ready();
    EXPECT_THAT(controller.held[0].texts, ElementsAre("a:state=2"));
    controller.answer();
    EXPECT_THAT(done, ElementsAre("first", "second"));
}

TEST_F(MirrorAlterations, entries_of_one_list_become_one_change) {
    own.append_to_topic("a", "list", "1", noted("1"));
    own.append_to_topic("a", "list", "2", noted("2"));
    own.append_to_topic("a", "other", "3", noted("3"));
    loop.run_ready();
    EXPECT_THAT(controller.held[0].texts, ElementsAre("a:list=1,2"));
    controller.answer();
    loop.run_ready();
    EXPECT_THAT(controller.held[0].texts, ElementsAre("a:other=3"));
    EXPECT_THAT(done, ElementsAre("1", "2"));
}

TEST_F(MirrorAlterations, a_controller_that_can_not_be_asked_refuses_all) {
    own.set_topic("a", {{"state", "1"}}, noted("a"));
    own.set_topic("b", {{"state", "1"}}, noted("b"));
    loop.run_ready();
    auto ask = std::move(controller.held.front().done);
    controller.held.clear();
    ask(Error(Code::unavailable, "nobody leads"));
    EXPECT_THAT(done, ElementsAre("a refused", "b refused"));
}

}  // namespace
}  // namespace millrace::mirror
