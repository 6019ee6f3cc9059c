// Who may be taken down, and which brokers there should be.
#include "operator/planner/ledger.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <random>

#include "operator/planner/members.h"

namespace millrace::planner {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Standing well(int id, const char* rack) {
    Standing standing;
    standing.id = id;
    standing.rack = rack;
    standing.up = true;
    standing.caught_up = true;
    return standing;
}
Standing down(int id, const char* rack) {
    Standing standing;
    standing.id = id;
    standing.rack = rack;
    standing.why = "its pod is gone";
    return standing;
}

TEST(Ledger, the_first_may_go_and_the_second_waits_for_it) {
    EXPECT_THAT(Ledger({well(0, "a"), well(1, "b")}, 1).refusal(0), IsEmpty());
    EXPECT_THAT(Ledger({down(0, "a"), well(1, "b")}, 1).refusal(1),
                HasSubstr("broker 0 is not back yet (its pod is gone)"));
}

TEST(Ledger, who_is_down_already_may_be_replaced) {
    EXPECT_THAT(Ledger({down(0, "a"), well(1, "b")}, 1).refusal(0), IsEmpty());
}

TEST(Ledger, a_broker_that_is_up_and_not_in_sync_counts_as_down) {
    Standing lagging = well(0, "a");
    lagging.caught_up = false;
    EXPECT_THAT(Ledger({lagging, well(1, "b")}, 1).refusal(1), HasSubstr("broker 0"));
}

TEST(Ledger, two_of_a_rack_may_go_if_the_budget_says_so_and_never_of_two_racks) {
    const std::vector<Standing> all = {down(0, "a"), well(1, "a"), well(2, "a"), well(3, "b")};
    EXPECT_THAT(Ledger(all, 2).refusal(1), IsEmpty());
    EXPECT_THAT(Ledger(all, 1).refusal(1), HasSubstr("rack a"));
    EXPECT_THAT(Ledger(all, 9).refusal(3), HasSubstr("not back"));
}

TEST(Ledger, an_unknown_rack_is_nobody_elses_rack) {
    EXPECT_THAT(Ledger({down(0, ""), well(1, "")}, 5).refusal(1), HasSubstr("not back"));
}

TEST(Ledger, a_broker_that_checks_its_logs_is_not_interrupted) {
    Standing recovering = down(0, "a");
    recovering.recovering = true;
    EXPECT_THAT(Ledger({recovering, well(1, "b")}, 1).refusal(0), HasSubstr("checks its logs"));
}

TEST(Ledger, nobody_may_be_evicted_while_somebody_is_down) {
    EXPECT_EQ(Ledger({well(0, "a"), well(1, "b")}, 1).budget(), 1);
    EXPECT_EQ(Ledger({down(0, "a"), well(1, "b")}, 1).budget(), 0);
}

// Whatever the world looks like: what the ledger lets go never leaves two racks down.
TEST(Ledger, never_takes_down_a_second_rack) {
    std::mt19937 random(7);
    for (int world = 0; world < 20000; ++world) {
        std::vector<Standing> all;
        const int brokers = 1 + static_cast<int>(random() % 9);
        for (int id = 0; id < brokers; ++id) {
            const char* rack = std::array{"a", "b", "c", ""}[random() % 4];
            all.push_back(random() % 4 == 0 ? down(id, rack) : well(id, rack));
        }
        const int budget = 1 + static_cast<int>(random() % 3);
        const Ledger ledger(all, budget);
        for (const Standing& one : all) {
            if (!ledger.refusal(one.id).empty()) {
                continue;
            }
            int others = 0;
            for (const Standing& other : all) {
                if (other.id != one.id && ledger.is_down(other.id)) {
                    ASSERT_EQ(other.rack, one.rack);
                    ASSERT_FALSE(other.rack.empty());
                    ++others;
                }
            }
            ASSERT_LT(others, budget);
        }
    }
}

api::ClusterSpec spec_of(int replicas, std::vector<std::int32_t> remove = {}) {
    api::ClusterSpec spec;
    spec.replicas = replicas;
    spec.storage = api::StorageSpec{};
    spec.storage->size = api::Quantity::parse("1Gi");
    spec.remove = std::move(remove);
    return spec;
}
std::vector<int> ids(const Membership& membership) {
    std::vector<int> list;
    for (const auto& [id, member] : membership.wanted) {
        list.push_back(id);
    }
    return list;
}
Known known(std::vector<int> brokers) {
    Known all;
    for (const int id : brokers) {
        all.pool_by_id[id] = api::default_pool;
    }
    return all;
}

TEST(Members, new_brokers_get_the_lowest_free_ids) {
    EXPECT_THAT(ids(members_of(spec_of(3), known({}), {})), ElementsAre(0, 1, 2));
    EXPECT_THAT(ids(members_of(spec_of(4), known({0, 2, 5}), {})), ElementsAre(0, 1, 2, 5));
}

TEST(Members, the_highest_leave_whoever_votes) {
    EXPECT_THAT(ids(members_of(spec_of(3), known({0, 1, 2, 3, 4}), {0, 1, 4})),
                ElementsAre(0, 1, 2));
}

TEST(Members, who_is_named_leaves) {
    EXPECT_THAT(ids(members_of(spec_of(3, {1}), known({0, 1, 2, 3}), {0, 2, 3})),
                ElementsAre(0, 2, 3));
}

TEST(Members, no_rack_is_emptied_while_another_has_two) {
    const std::map<int, std::string> racks = {{0, "a"}, {2, "c"}, {3, "a"}, {4, "b"}, {5, "c"}};
    EXPECT_THAT(ids(members_of(spec_of(3), known({0, 2, 3, 4, 5}), {0, 2, 3}, racks)),
                ElementsAre(0, 2, 4));
}

TEST(Members, those_that_leave_stay_the_same_until_the_last_is_gone) {
    std::map<int, std::string> racks = {{0, "a"}, {2, "c"}, {3, "a"}, {4, "b"}, {5, "c"}};
    Known now = known({0, 2, 3, 4, 5});
    now.draining = {3, 5};
    EXPECT_THAT(ids(members_of(spec_of(3), now, {}, racks)), ElementsAre(0, 2, 4));
    // 3 has lost its pod and its place in the metadata; its disk is still to be marked as kept.
    racks.erase(3);
    now.draining = {5};
    now.idle = {3};
    EXPECT_THAT(ids(members_of(spec_of(3), now, {}, racks)), ElementsAre(0, 2, 4));
    now.pool_by_id.erase(3);
    EXPECT_THAT(ids(members_of(spec_of(3), now, {}, racks)), ElementsAre(0, 2, 4));
}

TEST(Members, a_broker_that_is_away_with_nothing_on_it_leaves_first) {
    Known now = known({0, 1, 2, 3});
    now.idle = {1};
    EXPECT_THAT(ids(members_of(spec_of(3), now, {})), ElementsAre(0, 2, 3));
}

TEST(Members, a_quorum_has_one_three_or_five_voters) {
    EXPECT_THAT(members_of(spec_of(1), known({}), {}).voters, ElementsAre(0));
    EXPECT_THAT(members_of(spec_of(2), known({}), {}).voters, ElementsAre(0));
    EXPECT_THAT(members_of(spec_of(8), known({}), {}).voters, ElementsAre(0, 1, 2));
    EXPECT_THAT(members_of(spec_of(9), known({}), {}).voters, ElementsAre(0, 1, 2, 3, 4));
}

TEST(Members, voters_are_spread_over_the_racks_of_pools) {
    api::ClusterSpec spec;
    for (const char* rack : {"a", "b", "c"}) {
        api::PoolSpec pool;
        pool.name = rack;
        pool.rack = rack;
        pool.replicas = 3;
        spec.pools.push_back(pool);
    }
    const Membership membership = members_of(spec, known({}), {});
    std::map<std::string, int> by_rack;
    for (const int id : membership.voters) {
        ++by_rack[*membership.wanted.at(id).pool.rack];
    }
    EXPECT_EQ(by_rack.size(), 3U);
}

TEST(Members, a_voter_that_leaves_is_replaced_from_the_rack_that_has_none) {
    const std::map<int, std::string> racks = {{0, "a"}, {1, "b"}, {2, "c"}, {3, "a"}, {4, "b"}};
    EXPECT_THAT(members_of(spec_of(4, {1}), known({0, 1, 2, 3, 4}), {0, 1, 2}, racks).voters,
                ElementsAre(0, 2, 4));
}

TEST(Members, who_still_votes_stays_a_controller) {
    Membership membership = members_of(spec_of(4, {1}), known({0, 1, 2, 3, 4}), {0, 1, 2});
    keep_voting(membership, {0, 1, 2});
    EXPECT_THAT(membership.wanted_voters, ElementsAre(0, 2, 3));
    EXPECT_THAT(membership.voters, ElementsAre(0, 1, 2, 3));
    EXPECT_TRUE(membership.wanted.at(3).controller);
    EXPECT_FALSE(membership.wanted.at(4).controller);
}

TEST(Members, the_same_world_gives_the_same_members_and_keeps_who_is_there) {
    std::mt19937 random(3);
    for (int world = 0; world < 5000; ++world) {
        std::vector<int> there;
        for (int id = 0; id < 12; ++id) {
            if (random() % 2 == 0) {
                there.push_back(id);
            }
        }
        const int wanted = 1 + static_cast<int>(random() % 12);
        const Membership membership = members_of(spec_of(wanted), known(there), {});
        ASSERT_EQ(membership.wanted.size(), static_cast<std::size_t>(wanted));
        const auto kept = std::count_if(there.begin(), there.end(),
                                        [&](int id) { return membership.wanted.contains(id); });
        ASSERT_EQ(kept, std::min<std::ptrdiff_t>(wanted, std::ssize(there)));
        ASSERT_EQ(ids(members_of(spec_of(wanted), known(ids(membership)), membership.voters)),
                  ids(membership));
    }
}

}  // namespace
}  // namespace millrace::planner
