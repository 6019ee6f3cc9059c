// app/internal/registration_pace.h
//
// How long to wait before a registration is sent again. One that was taken and is another's now
// means that two processes go by one id: each puts the other's entry right, so both slow down.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace millrace::app {

class RegistrationPace {
public:
    Duration after_refusal() {
        refused_ = std::min(2 * refused_, refused_most);
        return refused_;
    }
    Duration after_success() {
        const Duration pause = taken_;
        taken_ = std::min(2 * taken_, taken_most);
        refused_ = first;
        ++taken_times_;
        return pause;
    }
    /// Whether an entry of ours has been replaced by somebody.
    bool is_disputed() const { return taken_times_ > 1; }

private:
    static constexpr Duration first = std::chrono::milliseconds(100);
    static constexpr Duration refused_most = std::chrono::seconds(5);
    static constexpr Duration taken_most = std::chrono::minutes(1);

    Duration refused_ = first;
    Duration taken_ = first;
    std::int64_t taken_times_ = 0;
};

}  // namespace millrace::app
