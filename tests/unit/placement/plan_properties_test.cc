// What must hold of every plan, on clusters made from seeds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "placement/plan.h"
#include "tests/unit/placement/clusters.h"
#include "tests/unit/placement/oracle.h"

namespace millrace::placement::testing {
namespace {

constexpr int seeds = 300;
constexpr Mode modes[] = {Mode::repair, Mode::drain, Mode::scale_out, Mode::full,
                          Mode::leaders_only};

const Unmet* unmet(const Plan& plan, const std::string& constraint) {
    for (const Unmet& one : plan.unmet) {
        if (one.constraint == constraint) {
            return &one;
        }
    }
    return nullptr;
}

/// So many of its brokers, each once.
std::vector<int> any_brokers(Random& random, const Snapshot& snapshot, int count) {
    std::vector<int> ids;
    while (static_cast<int>(ids.size()) < count) {
        const int id = number(random, 1, static_cast<int>(snapshot.brokers.size()));
        if (std::find(ids.begin(), ids.end(), id) == ids.end()) {
            ids.push_back(id);
        }
    }
    return ids;
}

template <typename Check>
void for_each_cluster(Check check, bool with_trouble = true) {
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        SeededRandom random(seed);
        const Snapshot snapshot = any_cluster(random, with_trouble);
        check(snapshot, random);
        if (::testing::Test::HasFailure()) {
            return;
        }
    }
}

bool receives(const View& view, BrokerId id) {
    return view.by_id.at(id)->standing == Standing::active;
}

bool can_be_copied(const View& view, const PartitionState& state) {
    return std::any_of(state.replicas.begin(), state.replicas.end(), [&](const Replica& replica) {
        return view.by_id.at(replica.broker)->standing != Standing::lost;
    });
}

/// Could this replica go to a broker within its racks' limits?
bool has_a_place(const View& view, const PartitionState& state, std::size_t slot) {
    if (!can_be_copied(view, state)) {
        return false;
    }
    for (const auto& [id, broker] : view.by_id) {
        PartitionState moved = state;
        moved.replicas[slot].broker = id;
        if (receives(view, id) && view.is_distinct(moved) &&
            view.rack_excess(moved) <=
                (view.rack_excess(state) > 0 ? view.rack_excess(state) - 1 : 0)) {
            return true;
        }
    }
    return false;
}

// P1, P8: whatever can be repaired is; the rest is said.
TEST(PlanProperty, hard_constraints_hold_wherever_they_can) {
    for_each_cluster([](const Snapshot& snapshot, Random&) {
        for (const Mode mode : {Mode::drain, Mode::scale_out, Mode::full}) {
            const Plan found = plan(snapshot, in_mode(mode), {});
            const Snapshot now = after(snapshot, found);
            const View view(now);
            for (const TopicState& topic : now.topics) {
                for (const PartitionState& state : topic.partitions) {
                    ASSERT_TRUE(view.is_distinct(state));
                    if (state.is_moving) {
                        continue;
                    }
                    for (std::size_t slot = 0; slot < state.replicas.size(); ++slot) {
                        const Standing at = view.by_id.at(state.replicas[slot].broker)->standing;
                        if (at == Standing::lost || at == Standing::draining) {
                            ASSERT_NE(unmet(found, at == Standing::lost ? "lost" : "drain"),
                                      nullptr);
                            ASSERT_FALSE(has_a_place(view, state, slot)) << state.index;
                        }
                    }
                    if (view.rack_excess(state) > 0 && can_be_copied(view, state)) {
                        ASSERT_NE(unmet(found, "rack"), nullptr);
                    }
                }
            }
        }
    });
}

/// With more replicas than racks at times, and with racks in which nobody takes one.
Snapshot cluster_of_racks(Random& random) {
    Snapshot snapshot = brokers(number(random, 3, 12), number(random, 2, 5));
    for (BrokerState& broker : snapshot.brokers) {
        broker.standing = number(random, 0, 3) == 0 ? static_cast<Standing>(number(random, 0, 4))
                                                    : Standing::active;
    }
    for (int t = 0; t < 4; ++t) {
        TopicState state;
        state.name = "topic-" + std::to_string(t);
        const int factor =
            number(random, 1, std::min<int>(6, static_cast<int>(snapshot.brokers.size())));
        for (int p = 0; p < 12; ++p) {
            const std::vector<int> ids = any_brokers(random, snapshot, factor);
            state.partitions.push_back(partition(p, ids, number(random, 1, 100'000)));
        }
        snapshot.topics.push_back(std::move(state));
    }
    return snapshot;
}

/// Two in one rack, and none in another that has somebody to take one.
bool is_crowded_beside_a_free_rack(const View& view, const PartitionState& state) {
    std::map<std::string, std::size_t> in;
    std::size_t most = 0;
    for (const Replica& replica : state.replicas) {
        most = std::max(most, ++in[view.by_id.at(replica.broker)->rack]);
    }
    return most > 1 && std::any_of(view.by_id.begin(), view.by_id.end(), [&](const auto& entry) {
               return receives(view, entry.first) && !in.contains(entry.second->rack);
           });
}

// H4, also where a topic has more replicas than there are racks.
TEST(PlanProperty, no_rack_keeps_a_second_replica_while_another_could_have_one) {
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        SeededRandom random(seed);
        const Snapshot snapshot = cluster_of_racks(random);
        for (const Mode mode : {Mode::repair, Mode::drain, Mode::scale_out, Mode::full}) {
            const Snapshot now = after(snapshot, plan(snapshot, in_mode(mode), {}));
            const View view(now);
            for (const TopicState& topic : now.topics) {
                for (const PartitionState& state : topic.partitions) {
                    ASSERT_FALSE(can_be_copied(view, state) &&
                                 is_crowded_beside_a_free_rack(view, state))
                        << topic.name << "-" << state.index << " mode " << static_cast<int>(mode);
                }
            }
            if (mode != Mode::full) {
                ASSERT_EQ(plan(now, in_mode(mode), {}).moves.size(), 0U);
            }
        }
    }
}

// P4
TEST(PlanProperty, the_order_of_the_input_does_not_matter) {
    for_each_cluster([](const Snapshot& snapshot, Random& random) {
        Snapshot shuffled = snapshot;
        const auto shuffle = [&](auto& list) {
            for (std::size_t i = list.size(); i > 1; --i) {
                std::swap(list[i - 1], list[random.below(i)]);
            }
        };
        shuffle(shuffled.brokers);
        shuffle(shuffled.topics);
        for (TopicState& topic : shuffled.topics) {
            shuffle(topic.partitions);
        }
        for (const Mode mode : modes) {
            const Plan one = plan(snapshot, in_mode(mode), {});
            const Plan other = plan(shuffled, in_mode(mode), {});
            ASSERT_EQ(one.hash, other.hash);
            ASSERT_EQ(one.fingerprint, other.fingerprint);
        }
    });
}

// P3
TEST(PlanProperty, a_second_run_finds_nothing_to_do) {
    for_each_cluster([](const Snapshot& snapshot, Random&) {
        for (const Mode mode : {Mode::repair, Mode::drain, Mode::scale_out, Mode::leaders_only}) {
            const Snapshot now = after(snapshot, plan(snapshot, in_mode(mode), {}));
            const Plan again = plan(now, in_mode(mode), {});
            ASSERT_EQ(again.moves.size(), 0U) << "mode " << static_cast<int>(mode);
        }
    });
}

// P5: a prefix is never worse than the start, partition by partition.
TEST(PlanProperty, every_prefix_is_as_safe_as_the_start) {
    for_each_cluster([](const Snapshot& snapshot, Random&) {
        const Plan found = plan(snapshot, in_mode(Mode::full), {});
        const View view(snapshot);
        std::map<std::pair<std::string, int>, const PartitionState*> before;
        for (const TopicState& topic : snapshot.topics) {
            for (const PartitionState& state : topic.partitions) {
                before[{topic.name, state.index}] = &state;
            }
        }
        for (const Move& move : found.moves) {
            const PartitionState& was = *before.at({move.topic, move.partition});
            PartitionState is = was;
            is.replicas.clear();
            for (const BrokerId id : move.to) {
                is.replicas.push_back({id, -1, true});
            }
            ASSERT_TRUE(view.is_distinct(is));
            ASSERT_GE(is.replicas.size(), was.replicas.size());
            ASSERT_LE(view.on_leaving(is), view.on_leaving(was));
            if (unmet(found, "rack") == nullptr) {
                ASSERT_LE(view.rack_excess(is), view.rack_excess(was));
            }
        }
    });
}

// P5, disks: whatever of a plan runs side by side, no disk is overfull while sources are still
// there.
TEST(PlanProperty, no_disk_overflows_in_any_interleaving) {
    for_each_cluster([](const Snapshot& given, Random& random) {
        Snapshot snapshot = given;
        std::map<BrokerId, std::int64_t> used;
        for (const TopicState& topic : snapshot.topics) {
            for (const PartitionState& state : topic.partitions) {
                for (const Replica& replica : state.replicas) {
                    used[replica.broker] += state.bytes;
                }
            }
        }
        std::map<BrokerId, std::int64_t> capacity;
        for (BrokerState& broker : snapshot.brokers) {
            capacity[broker.id] = used[broker.id] + number(random, 0, 1'000'000);
            broker.disks.push_back({Uuid{2, static_cast<std::uint64_t>(broker.id.value)},
                                    capacity[broker.id], used[broker.id], false});
        }
        Limits limits;
        limits.disk_percent = 100;
        const Plan found = plan(snapshot, in_mode(Mode::full), limits);
        for (const Move& move : found.moves) {
            for (const BrokerId id : move.to) {
                if (std::find(move.from.begin(), move.from.end(), id) == move.from.end()) {
                    used[id] += move.bytes / move.arrivals();
                }
            }
        }
        for (const auto& [id, bytes] : used) {
            ASSERT_LE(bytes, capacity[id]) << "broker " << id.value;
        }
    });
}

// P7, P12
TEST(PlanProperty, what_must_not_be_touched_is_not_and_nothing_moves_twice) {
    for_each_cluster([](const Snapshot& snapshot, Random&) {
        Desired desired = in_mode(Mode::full);
        desired.pinned_topics = {"topic-0"};
        const Plan found = plan(snapshot, desired, {});
        const View view(snapshot);
        std::set<std::pair<std::string, int>> moving;
        for (const TopicState& topic : snapshot.topics) {
            for (const PartitionState& state : topic.partitions) {
                if (state.is_moving) {
                    moving.insert({topic.name, state.index});
                }
            }
        }
        std::set<std::pair<std::string, int>> seen;
        for (const Move& move : found.moves) {
            ASSERT_TRUE(seen.insert({move.topic, move.partition}).second);
            ASSERT_FALSE(moving.contains({move.topic, move.partition}));
            ASSERT_NE(move.topic, "topic-0");
            for (const BrokerId id : move.to) {
                const bool is_new =
                    std::find(move.from.begin(), move.from.end(), id) == move.from.end();
                ASSERT_TRUE(!is_new || receives(view, id));
            }
        }
    });
}

// P9
TEST(PlanProperty, the_inverse_of_its_moves_leads_back) {
    for_each_cluster([](const Snapshot& snapshot, Random&) {
        Plan found = plan(snapshot, in_mode(Mode::full), {});
        Plan inverse = found;
        for (Move& move : inverse.moves) {
            std::swap(move.from, move.to);
        }
        const Snapshot back = after(after(snapshot, found), inverse);
        ASSERT_EQ(fingerprint(back), fingerprint(snapshot));
    });
}

// P11
TEST(PlanProperty, the_budget_of_bytes_is_kept) {
    for_each_cluster([](const Snapshot& snapshot, Random& random) {
        Limits limits;
        limits.max_bytes = number(random, 1, 1'000'000);
        const Plan found = plan(snapshot, in_mode(Mode::full), limits);
        ASSERT_LE(found.move_bytes, limits.max_bytes);
        std::int64_t after_all = 0;
        for (const Forecast& broker : found.brokers) {
            after_all += broker.replicas_after;
        }
        std::int64_t counted = 0;
        for (const auto& [id, count] : View(after(snapshot, found)).counts) {
            counted += count;
        }
        ASSERT_EQ(after_all, counted);
    });
}

// P13
TEST(PlanProperty, a_plan_of_leaders_only_reorders) {
    for_each_cluster([](const Snapshot& snapshot, Random&) {
        const Plan found = plan(snapshot, in_mode(Mode::leaders_only), {});
        ASSERT_EQ(found.replica_moves, 0);
        ASSERT_EQ(found.move_bytes, 0);
        for (const Move& move : found.moves) {
            ASSERT_THAT(move.to, ::testing::UnorderedElementsAreArray(move.from));
        }
    });
}

// P2, P17: exactly the bound where brokers are equal and racks leave room; never more than one copy
// above the fewest that lead to the same counts.
TEST(PlanProperty, no_more_is_copied_than_an_exact_solver_would) {
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        SeededRandom random(seed);
        Snapshot snapshot = brokers(number(random, 3, 8), number(random, 0, 3));
        const int factor = number(random, 1, 3);
        TopicState state;
        state.name = "t";
        for (int p = 0; p < 12; ++p) {
            const std::vector<int> ids = any_brokers(random, snapshot, factor);
            state.partitions.push_back(partition(p, ids));
        }
        snapshot.topics.push_back(state);
        const Plan found = plan(snapshot, in_mode(Mode::scale_out), {});
        const Snapshot now = after(snapshot, found);
        const auto fewest = fewest_copies(snapshot, View(now).counts);
        ASSERT_TRUE(fewest.has_value());
        ASSERT_LE(found.replica_moves, *fewest + 1);
        ASSERT_GE(found.replica_moves, found.lower_bound);
    }
}

TEST(PlanProperty, scale_out_of_an_even_cluster_copies_exactly_the_bound) {
    for (int racks = 0; racks <= 4; ++racks) {
        for (int more = 1; more <= 3; ++more) {
            SCOPED_TRACE(std::to_string(racks) + " racks, " + std::to_string(more) + " more");
            const int old = racks == 0 ? 5 : racks * 2;
            Snapshot snapshot = brokers(old, racks);
            fill_evenly(snapshot, 5, 60, std::min(3, old));
            const Snapshot all = brokers(old + more, racks);
            snapshot.brokers = all.brokers;
            const Plan found = plan(snapshot, in_mode(Mode::scale_out), {});
            EXPECT_GT(found.lower_bound, 0);
            if (racks <= 3) {
                EXPECT_EQ(found.replica_moves, found.lower_bound);
            }
            // More racks than replicas: which partitions may enter a rack can force exchanges.
            EXPECT_EQ(found.replica_moves,
                      fewest_copies(snapshot, View(after(snapshot, found)).counts));
        }
    }
}

// P6
TEST(PlanProperty, another_broker_never_raises_the_highest_count) {
    for_each_cluster(
        [](const Snapshot& snapshot, Random&) {
            const auto highest = [](const Snapshot& cluster) {
                int most = 0;
                for (const auto& [id, count] :
                     View(after(cluster, plan(cluster, in_mode(Mode::scale_out), {}))).counts) {
                    most = std::max(most, count);
                }
                return most;
            };
            Snapshot larger = snapshot;
            BrokerState another;
            another.id = BrokerId{100};
            another.rack = snapshot.brokers.front().rack;
            larger.brokers.push_back(another);
            // Within the band nothing moves, so a count may be the band above the target.
            ASSERT_LE(highest(larger), highest(snapshot) + 1);
        },
        false);
}

// P14
TEST(PlanProperty, what_cannot_be_met_ends_with_one_explanation_for_each_kind) {
    Snapshot snapshot = brokers(4, 2);
    fill_evenly(snapshot, 2, 20, 3);
    for (BrokerState& broker : snapshot.brokers) {
        broker.standing = Standing::draining;
    }
    const Plan found = plan(snapshot, in_mode(Mode::full), {});
    EXPECT_TRUE(found.moves.empty());
    ASSERT_NE(unmet(found, "drain"), nullptr);
    EXPECT_EQ(unmet(found, "drain")->count, 120);
    EXPECT_TRUE(plan(Snapshot{}, in_mode(Mode::full), {}).moves.empty());
}

// P15
TEST(PlanProperty, other_names_give_a_plan_of_the_same_size) {
    for_each_cluster(
        [](const Snapshot& snapshot, Random&) {
            Snapshot renamed = snapshot;
            for (BrokerState& broker : renamed.brokers) {
                broker.id = BrokerId{1000 - broker.id.value * 7};
            }
            for (TopicState& topic : renamed.topics) {
                topic.name = "other-" + topic.name;
                for (PartitionState& state : topic.partitions) {
                    for (Replica& replica : state.replicas) {
                        replica.broker = BrokerId{1000 - replica.broker.value * 7};
                    }
                }
            }
            const Plan one = plan(snapshot, in_mode(Mode::drain), {});
            const Plan other = plan(renamed, in_mode(Mode::drain), {});
            ASSERT_EQ(one.replica_moves, other.replica_moves);
            ASSERT_EQ(one.lower_bound, other.lower_bound);
        },
        true);
}

// P3 under noise: loads that differ a little move nothing.
TEST(PlanProperty, noise_within_the_bands_moves_nothing) {
    for_each_cluster(
        [](const Snapshot& snapshot, Random& random) {
            Snapshot now = after(snapshot, plan(snapshot, in_mode(Mode::scale_out), {}));
            for (TopicState& topic : now.topics) {
                for (PartitionState& state : topic.partitions) {
                    state.bytes += state.bytes * number(random, -2, 2) / 100;
                }
            }
            ASSERT_EQ(plan(now, in_mode(Mode::scale_out), {}).moves.size(), 0U);
        },
        false);
}

// P18
TEST(PlanProperty, a_cluster_in_motion_copies_little_more_than_it_must) {
    SeededRandom random(7);
    Snapshot snapshot = brokers(9, 3);
    fill_evenly(snapshot, 6, 60, 3);
    std::int64_t copied = 0;
    std::int64_t bound = 0;
    for (int step = 0, next = 10; step < 40; ++step) {
        const std::size_t which = random.below(snapshot.brokers.size());
        switch (number(random, 0, 2)) {
            case 0: {
                BrokerState another = snapshot.brokers[which];
                another.id = BrokerId{next++};
                another.standing = Standing::active;
                snapshot.brokers.push_back(another);
                break;
            }
            case 1:
                if (snapshot.brokers.size() > 9) {
                    snapshot.brokers[which].standing = Standing::draining;
                }
                break;
            default:
                fill_evenly(snapshot, 1, number(random, 5, 30), 3);
                snapshot.topics.back().name = "grown-" + std::to_string(step);
        }
        const Plan found = plan(snapshot, in_mode(Mode::scale_out), {});
        copied += found.replica_moves;
        bound += found.lower_bound;
        snapshot = after(snapshot, found);
        std::erase_if(snapshot.brokers, [](const BrokerState& broker) {
            return broker.standing == Standing::draining;
        });
    }
    EXPECT_GT(bound, 0);
    EXPECT_LE(static_cast<double>(copied), 1.2 * static_cast<double>(bound));
}

}  // namespace
}  // namespace millrace::placement::testing
