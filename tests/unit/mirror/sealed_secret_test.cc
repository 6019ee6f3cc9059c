// A link's password in the metadata: never in plain sight, and it comes back.
#include "mirror/internal/sealed_secret.h"

#include <gtest/gtest.h>

namespace millrace::mirror {
namespace {

const SealingKeys cluster{"N3lY1qTBT4yq0cCBlZJ1pA", {}};

TEST(SealedSecret, comes_back_and_is_nowhere_in_what_is_stored) {
    SeededRandom random(1);
    const Secret plain("correct horse battery");
    const Secret stored = seal(plain, cluster, random);
    EXPECT_EQ(stored.reveal().find("horse"), std::string::npos);
    const auto back = unseal(stored, cluster);
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, plain);
}

TEST(SealedSecret, of_one_password_looks_different_each_time) {
    SeededRandom random(1);
    EXPECT_NE(seal(Secret("x"), cluster, random), seal(Secret("x"), cluster, random));
}

TEST(SealedSecret, of_another_cluster_or_damaged_is_refused) {
    SeededRandom random(1);
    const Secret stored = seal(Secret("hush"), cluster, random);
    EXPECT_FALSE(unseal(stored, {"another", {}}));
    std::string damaged = stored.reveal();
    damaged.back() = damaged.back() == '0' ? '1' : '0';
    EXPECT_FALSE(unseal(Secret(damaged), cluster));
    EXPECT_FALSE(unseal(Secret("sealed1:00"), cluster));
    EXPECT_FALSE(unseal(Secret("sealed1:zz"), cluster));
}

TEST(SealedSecret, what_was_stored_before_comes_back_as_it_is_and_nothing_stays_nothing) {
    SeededRandom random(1);
    EXPECT_EQ(unseal(Secret("old"), cluster)->reveal(), "old");
    EXPECT_TRUE(seal(Secret(), cluster, random).empty());
}

TEST(SealedSecret, under_a_key_of_its_own_is_not_opened_by_who_knows_the_cluster) {
    SeededRandom random(1);
    const SealingKeys own{cluster.cluster_id, {Secret("a key of our own, kept elsewhere")}};
    const Secret stored = seal(Secret("hush"), own, random);
    EXPECT_EQ(unseal(stored, own)->reveal(), "hush");
    ASSERT_FALSE(unseal(stored, cluster));
    EXPECT_EQ(unseal(stored, cluster).error().code(), Code::not_found);
    EXPECT_FALSE(unseal(stored, {cluster.cluster_id, {Secret("another key of our own")}}));
}

TEST(SealedSecret, keys_change_while_the_old_one_is_still_there) {
    SeededRandom random(1);
    const SealingKeys before{cluster.cluster_id, {Secret("the first of our own keys")}};
    const SealingKeys now{cluster.cluster_id,
                          {Secret("the second of our own keys"), before.own.front()}};
    const Secret stored = seal(Secret("hush"), before, random);
    EXPECT_TRUE(is_sealed_as_now(stored, before));
    EXPECT_FALSE(is_sealed_as_now(stored, now));
    EXPECT_EQ(unseal(stored, now)->reveal(), "hush");
    EXPECT_FALSE(is_sealed_as_now(seal(Secret("hush"), cluster, random), now));
    EXPECT_EQ(unseal(seal(Secret("hush"), cluster, random), now)->reveal(), "hush");
}

}  // namespace
}  // namespace millrace::mirror
