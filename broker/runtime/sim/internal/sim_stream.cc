#include <algorithm>

#include "runtime/disk.h"
#include "runtime/sim/internal/sim_net.h"

namespace millrace::runtime::sim {

SimStream::SimStream(std::shared_ptr<Connection> connection, std::size_t side,
                     SimExecutor& executor)
    : connection_(std::move(connection)), side_(side), executor_(&executor) {
    connection_->bind(side_, executor);
}

void SimStream::check_thread() const {
    // A stream without events belongs to nobody: it is on its way to another loop.
    MR_ASSERT(!has_events_ || executor_->may_touch());
}

void SimStream::set_events(StreamEvents* events) {
    check_thread();
    MR_ASSERT(events == nullptr || executor_->may_touch());
    has_events_ = events != nullptr;
    connection_->set_events(side_, events);
}

Result<std::size_t> SimStream::read(MutableBytes into) {
    check_thread();
    return connection_->read(side_, into);
}

Result<std::size_t> SimStream::write(std::span<const iovec> parts, bool) {
    check_thread();
    return connection_->write(side_, parts);
}

Result<std::size_t> SimStream::send_file(File& file, std::uint64_t offset, std::size_t length) {
    check_thread();
    // One more than there is room for, where there is more: a full window owes an on_writable.
    Buffer bytes(std::min(length, connection_->room(side_) + 1));
    MR_TRY(const auto got, file.read_at(offset, bytes));
    if (got < bytes.size()) {
        return Error::make(Code::io, "send_file: the file ends at {}, {} bytes were to follow",
                           offset + got, length - got);
    }
    const iovec part{bytes.data(), bytes.size()};
    return connection_->write(side_, std::span(&part, 1));
}

void SimStream::pause_reading(bool paused) {
    check_thread();
    connection_->pause_reading(side_, paused);
}

void SimStream::close() {
    check_thread();
    has_events_ = false;
    connection_->close(side_);
}

void SimStream::rebind(SimExecutor& executor) {
    MR_ASSERT(!has_events_);
    MR_ASSERT(executor.may_touch());
    executor_ = &executor;
    connection_->bind(side_, executor);
}

}  // namespace millrace::runtime::sim
