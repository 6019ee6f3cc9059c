#include "net/frame.h"

#include <utility>

namespace millrace::net {

Reply& Reply::operator=(Reply&& other) noexcept {
    if (this != &other) {
        abandon();
        target_ = std::move(other.target_);
        connection_ = other.connection_;
        sequence_ = other.sequence_;
    }
    return *this;
}

void Reply::send(Response response) {
    MR_ASSERT(target_ != nullptr);
    auto target = std::move(target_);
    if (target->home().is_current()) {
        target->deliver(connection_, sequence_, std::move(response));
        return;
    }
    runtime::Executor& home = target->home();
    home.post([target = std::move(target), connection = connection_, sequence = sequence_,
               response = std::move(response)]() mutable {
        target->deliver(connection, sequence, std::move(response));
    });
}

void Reply::abandon() {
    if (!target_) {
        return;
    }
    auto target = std::move(target_);
    runtime::Executor& home = target->home();
    home.post([target = std::move(target), connection = connection_, sequence = sequence_] {
        target->abandon(connection, sequence);
    });
}

}  // namespace millrace::net
