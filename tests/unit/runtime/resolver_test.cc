// Names are looked up on threads, and the kernel may have none left.
#include "runtime/real/internal/resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <optional>

#include "runtime/sim/simulation.h"

namespace millrace::runtime::internal {
namespace {

Result<void> no_thread(UniqueFunction<void()>) {
    return Error(Code::exhausted, "Resource temporarily unavailable");
}

/// A process that does nothing by itself.
class Idle final : public sim::Program {};

// Case 90: who asks hears of it, on his own loop, and may ask again.
TEST(Resolver, case_90_without_a_thread_to_start_a_look_up_fails_and_nothing_else) {
    sim::Simulation simulation({.seed = 1});
    sim::SimNode& node = simulation.add_node({.name = "n1"});
    node.start([](Node&) { return std::make_unique<Idle>(); });
    Executor& loop = *node.control_shard().executor;
    Resolver resolver(4, no_thread);
    for (int i = 0; i < 3; ++i) {
        std::optional<Code> told;
        resolver.resolve({"broker.example", 9092}, loop, [&](Result<Resolver::Addresses> found) {
            told = found ? Code::internal : found.error().code();
        });
        EXPECT_FALSE(told.has_value()) << "never inside the call";
        ASSERT_TRUE(simulation.run_until([&] { return told.has_value(); }, 1s));
        EXPECT_EQ(*told, Code::exhausted);
    }
}

}  // namespace
}  // namespace millrace::runtime::internal
