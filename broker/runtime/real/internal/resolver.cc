#include "runtime/real/internal/resolver.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace millrace::runtime::internal {

struct Resolver::State {
    struct Job {
        Address name;
        Executor* home = nullptr;
        UniqueFunction<void(Result<Addresses>)> done;
    };

    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Job> jobs;
    unsigned threads = 0;
    unsigned idle = 0;
    bool stopped = false;

    void run();
};

Resolver::Resolver(unsigned threads, StartThread start)
    : state_(std::make_shared<State>()), max_threads_(threads), start_(start) {}

Resolver::~Resolver() {
    stop();
}

void Resolver::stop() {
    std::deque<State::Job> dropped;
    const std::lock_guard lock(state_->mutex);
    state_->stopped = true;
    dropped.swap(state_->jobs);
    state_->changed.notify_all();
}

void Resolver::resolve(const Address& name, Executor& home,
                       UniqueFunction<void(Result<Addresses>)> done) {
    const std::lock_guard lock(state_->mutex);
    if (state_->stopped) {
        return;
    }
    state_->jobs.push_back({name, &home, std::move(done)});
    if (state_->idle == 0 && state_->threads < max_threads_) {
        const auto started = start_([state = state_] { state->run(); });
        if (started) {
            ++state_->threads;
        } else if (state_->threads == 0) {
            State::Job job = std::move(state_->jobs.back());
            state_->jobs.pop_back();
            home.post([done = std::move(job.done), error = started.error()]() mutable {
                done(std::move(error));
            });
        }  // else one of those there are comes to it
    }
    state_->changed.notify_one();
}

/// Detached: a look-up can't be interrupted, and a shutdown must not wait for it. The state is
/// shared, and after stop() a thread touches nothing else.
Result<void> Resolver::start_detached(UniqueFunction<void()> work) {
    try {
        std::thread(std::move(work)).detach();
        return {};
    } catch (const std::system_error& failure) {
        return Error::make(Code::exhausted, "no thread to look names up: {}", failure.what());
    }
}

void Resolver::State::run() {
    std::unique_lock lock(mutex);
    for (;;) {
        ++idle;
        changed.wait(lock, [this] { return stopped || !jobs.empty(); });
        --idle;
        if (stopped) {
            return;
        }
        Job job = std::move(jobs.front());
        jobs.pop_front();
        lock.unlock();
        auto found = resolve_blocking(job.name);
        lock.lock();
        // Under the lock: `home` may be gone right after stop().
        if (!stopped) {
            job.home->post([done = std::move(job.done), found = std::move(found)]() mutable {
                done(std::move(found));
            });
        }
    }
}

}  // namespace millrace::runtime::internal
