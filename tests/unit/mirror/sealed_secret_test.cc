// A link's password in the metadata: never in plain sight, and it comes back.
#include "mirror/internal/sealed_secret.h"

#include <gtest/gtest.h>

namespace millrace::mirror {
namespace {

constexpr std::string_view cluster = "N3lY1qTBT4yq0cCBlZJ1pA";

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
    EXPECT_FALSE(unseal(stored, "another"));
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

}  // namespace
}  // namespace millrace::mirror
