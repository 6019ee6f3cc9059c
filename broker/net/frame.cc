#include "net/frame.h"

#include <limits>
#include <utility>

#include "net/internal/shares.h"

namespace millrace::net {

std::int64_t Frame::room() const {
    return charge_ ? share_of_held(*charge_.ledger()) : std::numeric_limits<std::int64_t>::max();
}

std::int64_t Frame::room_to_answer() const {
    return charge_ ? share_of_answer(*charge_.ledger()) : std::numeric_limits<std::int64_t>::max();
}

void Frame::hold(std::int64_t bytes) {
    charge_.become(charge_.bytes() - held_ + bytes);
    held_ = bytes;
}

bool Frame::is_in_the_way() const {
    return charge_ && charge_.bytes() >= little && is_in_use(*charge_.ledger());
}

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
