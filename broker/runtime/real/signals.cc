#include "runtime/real/signals.h"

#include <cerrno>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "runtime/real/internal/reactor.h"
#include "runtime/real/internal/system.h"
#include "runtime/real/real_node.h"

namespace millrace::runtime {

namespace {

class SignalDescriptor final : public Signals, private internal::Watcher {
public:
    explicit SignalDescriptor(internal::Descriptor descriptor)
        : descriptor_(std::move(descriptor)) {}

    ~SignalDescriptor() override {
        if (watch_) {
            reactor_->remove(watch_, descriptor_.get());
        }
    }

    Result<void> deliver_to(RealNode& node, UniqueFunction<void(int)> on_signal) override {
        MR_ASSERT(!watch_);
        reactor_ = &node.control_reactor();
        on_signal_ = std::move(on_signal);
        watch_ = reactor_->add(*this);
        return reactor_->arm(watch_, descriptor_.get(), EPOLLIN);
    }

private:
    std::string about() const override { return "the signals"; }
    void on_ready(std::uint32_t) override {
        signalfd_siginfo facts{};
        if (::read(descriptor_.get(), &facts, sizeof(facts)) == sizeof(facts)) {
            on_signal_(static_cast<int>(facts.ssi_signo));
        }
    }

    const internal::Descriptor descriptor_;
    internal::Reactor* reactor_ = nullptr;
    internal::WatchId watch_;
    UniqueFunction<void(int)> on_signal_;
};

}  // namespace

Result<std::unique_ptr<Signals>> Signals::catch_from_here(std::vector<int> numbers) {
    ::signal(SIGPIPE, SIG_IGN);
    sigset_t set;
    ::sigemptyset(&set);
    for (const int number : numbers) {
        ::sigaddset(&set, number);
    }
    if (const int error = ::pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0) {
        return internal::system_error("pthread_sigmask", error);
    }
    internal::Descriptor descriptor{::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)};
    if (!descriptor) {
        return internal::system_error("signalfd", errno);
    }
    return std::unique_ptr<Signals>(std::make_unique<SignalDescriptor>(std::move(descriptor)));
}

}  // namespace millrace::runtime
