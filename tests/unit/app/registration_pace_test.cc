// Two processes under one id must not fill the metadata log with their dispute.
#include "app/internal/registration_pace.h"

#include <gtest/gtest.h>

namespace millrace::app {
namespace {

TEST(RegistrationPace, who_is_replaced_again_and_again_slows_down) {
    RegistrationPace pace;
    EXPECT_EQ(pace.after_success(), std::chrono::milliseconds(100));
    EXPECT_FALSE(pace.is_disputed());
    EXPECT_EQ(pace.after_success(), std::chrono::milliseconds(200));
    EXPECT_TRUE(pace.is_disputed());
    Duration pause{0};
    for (int i = 0; i < 20; ++i) {
        pause = pace.after_success();
    }
    EXPECT_EQ(pause, std::chrono::minutes(1));
}

TEST(RegistrationPace, a_refusal_is_asked_again_within_seconds) {
    RegistrationPace pace;
    Duration pause{0};
    for (int i = 0; i < 20; ++i) {
        pause = pace.after_refusal();
    }
    EXPECT_EQ(pause, std::chrono::seconds(5));
    pace.after_success();
    EXPECT_EQ(pace.after_refusal(), std::chrono::milliseconds(200));
}

}  // namespace
}  // namespace millrace::app
