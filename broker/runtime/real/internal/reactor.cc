#include "runtime/real/internal/reactor.h"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

namespace millrace::runtime::internal {

namespace {

constexpr std::int64_t tick_ns = 1'000'000;
constexpr int events_per_wait = 256;
constexpr std::uint64_t bell_id = 0;
constexpr std::uint32_t no_slot = UINT32_MAX;

thread_local const Reactor* current_reactor = nullptr;

}  // namespace

Timestamp Reactor::LoopClock::wall() const {
    if (!wall_read_) {
        wall_ = wall_now();
        wall_read_ = true;
    }
    return wall_;
}

void Reactor::LoopClock::refresh() {
    now_ = monotonic_now();
    wall_read_ = false;
}

Result<std::unique_ptr<Reactor>> Reactor::create(std::string name) {
    Descriptor epoll{::epoll_create1(EPOLL_CLOEXEC)};
    if (!epoll) {
        return system_error("epoll_create1", errno);
    }
    Descriptor bell{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (!bell) {
        return system_error("eventfd", errno);
    }
    epoll_event event{};
    // Edge-triggered: the counter is never read, each write is a new edge.
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = bell_id;
    if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, bell.get(), &event) != 0) {
        return system_error("epoll_ctl", errno);
    }
    return std::unique_ptr<Reactor>(
        new Reactor(std::move(name), std::move(epoll), std::move(bell)));
}

Reactor::Reactor(std::string name, Descriptor epoll, Descriptor bell)
    : name_(std::move(name)),
      epoll_(std::move(epoll)),
      bell_(std::move(bell)),
      mailbox_(bell_.get()),
      origin_(monotonic_now()),
      events_(events_per_wait * sizeof(epoll_event)) {
    clock_.refresh();
}

Reactor::~Reactor() {
    stop();
    discard_everything();
}

void Reactor::start() {
    MR_ASSERT(!thread_.joinable());
    running_.store(true, std::memory_order_release);
    thread_ = std::thread([this] { run(); });
    // The kernel keeps 15 characters.
    ::pthread_setname_np(thread_.native_handle(), name_.substr(0, 15).c_str());
}

void Reactor::stop() {
    MR_ASSERT(!is_current());
    if (thread_.joinable()) {
        stopping_.store(true, std::memory_order_release);
        mailbox_.wake();
        thread_.join();
    }
}

void Reactor::post(Task task) {
    if (is_current()) {
        local_.push_back(std::move(task));
        return;
    }
    mailbox_.post(std::move(task));
}

TimerId Reactor::after(Duration delay, Task task) {
    MR_ASSERT(may_touch());
    // A fresh reading: after a long turn the loop's clock lags, and a timer must not fire early.
    const Instant due = monotonic_now() + std::max(delay, Duration::zero());
    return wheel_.add(tick_of(due + Duration{tick_ns - 1}), std::move(task));
}

void Reactor::cancel(TimerId timer) {
    MR_ASSERT(may_touch());
    if (timer) {
        wheel_.cancel(timer);
    }
}

bool Reactor::is_current() const {
    return current_reactor == this;
}

WatchId Reactor::add(Watcher& watcher) {
    MR_ASSERT(may_touch());
    std::uint32_t index = free_slot_;
    if (index == no_slot) {
        index = static_cast<std::uint32_t>(slots_.size());
        slots_.emplace_back();
    } else {
        free_slot_ = slots_[index].next_free;
    }
    slots_[index].watcher = &watcher;
    return {(static_cast<std::uint64_t>(slots_[index].generation) << 32) | index};
}

Result<void> Reactor::arm(WatchId watch, int descriptor, std::uint32_t events) {
    MR_ASSERT(is_watched(watch));
    epoll_event event{};
    event.events = events;
    event.data.u64 = watch.value;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) != 0) {
        return system_error("epoll_ctl add", errno);
    }
    return {};
}

void Reactor::change(WatchId watch, int descriptor, std::uint32_t events) {
    MR_ASSERT(is_watched(watch));
    epoll_event event{};
    event.events = events;
    event.data.u64 = watch.value;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, descriptor, &event) != 0) [[unlikely]] {
        lost("change", watch, descriptor, errno);
    }
}

void Reactor::remove(WatchId watch, int descriptor) {
    MR_ASSERT(may_touch());
    MR_ASSERT(is_watched(watch));
    // ENOENT: arm() had failed, or was never called.
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor, nullptr) != 0 && errno != ENOENT)
        [[unlikely]] {
        lost("remove", watch, descriptor, errno);
    }
    const auto index = static_cast<std::uint32_t>(watch.value);
    Slot& slot = slots_[index];
    slot.watcher = nullptr;
    if (++slot.generation == 0) {
        slot.generation = 1;  // Zero is the bell's.
    }
    slot.next_free = free_slot_;
    free_slot_ = index;
}

/// Somebody closed a descriptor that is watched, or closed another one's number: from here on bytes
/// of one connection might go into another, or into a file.
void Reactor::lost(std::string_view call, WatchId watch, int descriptor, int error_number) {
    const std::string what =
        fmt::format("the watched descriptor is still open: {} {} of {} in loop {} (epoll {}): {}",
                    call, descriptor, watcher_of(watch.value)->about(), name_, epoll_.get(),
                    system_error("epoll_ctl", error_number).message());
    assertion_failed(what.c_str(), __FILE__, __LINE__);
}

void Reactor::tell(WatchId watch, std::uint32_t events) {
    MR_ASSERT(may_touch());
    post([this, watch, events] {
        if (Watcher* watcher = watcher_of(watch.value)) {
            watcher->on_ready(events);
        }
    });
}

void Reactor::run() {
    current_reactor = this;
    while (!stopping_.load(std::memory_order_acquire)) {
        turn();
    }
    current_reactor = nullptr;
    running_.store(false, std::memory_order_release);
}

void Reactor::turn() {
    const int ready = wait();
    clock_.refresh();
    const std::int64_t started = clock_.now().nanoseconds;
    stats_.turn_started_ns.store(started, std::memory_order_relaxed);
    LoopStats::add(stats_.turns, 1);
    dispatch(ready);
    run_timers();
    run_tasks();
}

int Reactor::wait() {
    auto* events = reinterpret_cast<epoll_event*>(events_.data());
    timespec timeout{};
    const timespec* limit = &timeout;
    bool may_sleep = local_.empty() && wheel_.due() == 0;
    if (may_sleep) {
        if (const std::uint64_t tick = wheel_.next_tick(); tick == TimingWheel::no_tick) {
            limit = nullptr;
        } else {
            const std::int64_t at = origin_.nanoseconds + static_cast<std::int64_t>(tick) * tick_ns;
            const std::int64_t left = at - monotonic_now().nanoseconds;
            may_sleep = left > 0;
            timeout.tv_sec = std::max<std::int64_t>(left, 0) / 1'000'000'000;
            timeout.tv_nsec = std::max<std::int64_t>(left, 0) % 1'000'000'000;
        }
    }
    may_sleep = may_sleep && mailbox_.lie_down();
    if (!may_sleep) {
        timeout = {};
        limit = &timeout;
    } else {
        LoopStats::add(stats_.sleeps, 1);
        stats_.turn_started_ns.store(0, std::memory_order_relaxed);
    }
    int ready = ::epoll_pwait2(epoll_.get(), events, events_per_wait, limit, nullptr);
    if (ready < 0 && errno == ENOSYS) {  // Before Linux 5.11: milliseconds, rounded up.
        const std::int64_t milliseconds =
            timeout.tv_sec * 1000 + (timeout.tv_nsec + tick_ns - 1) / tick_ns;
        ready = ::epoll_wait(
            epoll_.get(), events, events_per_wait,
            limit == nullptr ? -1
                             : static_cast<int>(std::min<std::int64_t>(milliseconds, 3'600'000)));
    }
    MR_ASSERT(ready >= 0 || errno == EINTR);
    if (may_sleep) {
        mailbox_.get_up();
    }
    return std::max(ready, 0);
}

void Reactor::dispatch(int ready) {
    const auto* events = reinterpret_cast<const epoll_event*>(events_.data());
    for (int i = 0; i < ready; ++i) {
        const std::uint64_t id = events[i].data.u64;
        if (Watcher* watcher = watcher_of(id)) {
            watcher->on_ready(events[i].events);
        }
    }
    LoopStats::add(stats_.descriptor_events, static_cast<std::uint64_t>(ready));
}

void Reactor::run_timers() {
    wheel_.advance(tick_of(clock_.now()));
    const std::size_t due = wheel_.due();
    // A due timer may cancel another one of this round.
    for (std::size_t i = 0; i < due && wheel_.due() > 0; ++i) {
        wheel_.take_due()();
    }
    LoopStats::add(stats_.timers, due);
}

void Reactor::run_tasks() {
    if (!mailbox_.empty()) {
        mailbox_.take(running_tasks_);
        run_all(running_tasks_);
    }
    if (!local_.empty()) {
        running_tasks_.swap(local_);
        run_all(running_tasks_);
    }
}

void Reactor::run_all(std::vector<Task>& tasks) {
    for (Task& task : tasks) {
        task();
        task = nullptr;  // What it owns goes now, not after all the others ran.
    }
    LoopStats::add(stats_.tasks, tasks.size());
    tasks.clear();
}

void Reactor::discard_everything() {
    MR_ASSERT(!running_.load(std::memory_order_acquire));
    // Destroying a task may post or start timers: those go too.
    mailbox_.close().clear();
    std::exchange(local_, {}).clear();
    while (wheel_.size() > 0) {
        wheel_.clear();
    }
}

Watcher* Reactor::watcher_of(std::uint64_t id) {
    const auto index = static_cast<std::uint32_t>(id);
    const auto generation = static_cast<std::uint32_t>(id >> 32);
    if (index >= slots_.size() || slots_[index].generation != generation) {
        return nullptr;
    }
    return slots_[index].watcher;
}

std::uint64_t Reactor::tick_of(Instant at) const {
    return static_cast<std::uint64_t>((at - origin_).count() / tick_ns);
}

}  // namespace millrace::runtime::internal
