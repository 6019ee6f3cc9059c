#include "app/internal/supervisor.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <dirent.h>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "metrics/log_sink.h"

namespace millrace::app {
namespace {

constexpr std::array handed_on = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
constexpr Duration first_pause = 1s;
constexpr Duration longest_pause = 30s;
constexpr Duration healthy_after = 60s;

Instant now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return {std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec};
}

Timestamp wall() {
    timespec time{};
    clock_gettime(CLOCK_REALTIME, &time);
    return {std::int64_t{time.tv_sec} * 1'000 + time.tv_nsec / 1'000'000};
}

/// Lines as the broker's own, between which they stand.
Logger own_log() {
    auto sink = metrics::make_log_sink({}, wall);
    return sink ? Logger(*std::move(sink)) : Logger();  // Standard error needs no opening.
}

struct ThreadStatus {
    char state = '?';
    bool traced = false;
    std::uint64_t turns = 0;
};

std::optional<ThreadStatus> read_status(const std::string& directory) {
    std::ifstream file(directory + "/status");
    if (!file) {
        return std::nullopt;  // it has ended
    }
    ThreadStatus status;
    for (std::string key, value, line; file >> key && std::getline(file, line);) {
        const auto begin = line.find_first_not_of(" \t");
        value = begin == std::string::npos ? "" : line.substr(begin);
        if (key == "State:" && !value.empty()) {
            status.state = value[0];
        } else if (key == "TracerPid:") {
            status.traced = value != "0";
        } else if (key == "voluntary_ctxt_switches:" || key == "nonvoluntary_ctxt_switches:") {
            std::uint64_t count = 0;
            std::from_chars(value.data(), value.data() + value.size(), count);
            status.turns += count;
        }
    }
    return status;
}

std::vector<SupervisorLook::Thread> threads_of(pid_t process) {
    std::vector<SupervisorLook::Thread> threads;
    const std::string tasks = "/proc/" + std::to_string(process) + "/task";
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(tasks.c_str()), &closedir);
    while (const dirent* entry = directory ? readdir(directory.get()) : nullptr) {
        const std::string_view name = entry->d_name;
        std::int32_t id = 0;
        if (std::from_chars(name.data(), name.data() + name.size(), id).ec != std::errc{}) {
            continue;
        }
        if (const auto status = read_status(tasks + "/" + std::string(name))) {
            threads.push_back({id, status->state == 'D', status->turns});
        }
    }
    return threads;
}

class Supervisor {
public:
    Supervisor(AfterEnd after_end, SupervisorRules rules, UniqueFunction<int(Beats&)> broker)
        : after_end_(after_end), rules_(rules), broker_(std::move(broker)) {
        sigemptyset(&watched_);
        for (const int number : handed_on) {
            sigaddset(&watched_, number);
        }
        sigaddset(&watched_, SIGCHLD);
    }

    int run() {
        void* const shared =
            mmap(nullptr, sizeof(Beats), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (shared == MAP_FAILED || sigprocmask(SIG_BLOCK, &watched_, &before_) != 0) {
            std::fprintf(stderr, "millrace-broker: cannot supervise: %s\n", std::strerror(errno));
            return EXIT_FAILURE;
        }
        Duration pause = first_pause;
        while (true) {
            beats_ = new (shared) Beats;
            const Instant begun = now();
            const pid_t parent = getpid();
            child_ = fork();
            if (child_ < 0) {
                std::fprintf(stderr, "millrace-broker: fork: %s\n", std::strerror(errno));
                return EXIT_FAILURE;
            }
            if (child_ == 0) {
                return be_the_broker(parent);
            }
            const int status = watch();
            // One that never served has a reason that a person should see, not a second start.
            const bool served = beats_->phase != Beats::Phase::starting;
            const bool failed =
                status > 128 || status == exit_stood_still || (status != EXIT_SUCCESS && served);
            if (!failed || asked_to_end_ || after_end_ == AfterEnd::exit) {
                return status;
            }
            pause = now() - begun > healthy_after ? first_pause : pause;
            MR_LOG(log_, warn, "supervisor.restarts", field("status", status),
                   field("pause_ms", to_milliseconds(pause)));
            wait_for_signal(pause);
            if (asked_to_end_) {
                return status;
            }
            pause = std::min(2 * pause, longest_pause);
        }
    }

private:
    /// A supervisor that is gone takes its broker along: whoever ended it meant both.
    int be_the_broker(pid_t parent) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            return EXIT_FAILURE;
        }
        sigprocmask(SIG_SETMASK, &before_, nullptr);
        return broker_(*beats_);
    }

    int watch() {
        SupervisorCore core(rules_);
        bool stood_still = false;
        is_stopped_ = false;
        MR_LOG(log_, info, "supervisor.watches", field("process", child_));
        while (true) {
            wait_for_signal(rules_.look_every);
            if (const auto ended = reap()) {
                if (WIFEXITED(*ended)) {
                    return WEXITSTATUS(*ended);
                }
                return stood_still ? exit_stood_still : 128 + WTERMSIG(*ended);
            }
            const auto why = stood_still ? std::nullopt : core.judge(look());
            if (why) {
                MR_LOG(log_, error, "supervisor.ends_broker", field("process", child_),
                       field("reason", *why));
                kill(child_, SIGKILL);
                stood_still = true;
            }
        }
    }

    /// Hands on what others send us.
    void wait_for_signal(Duration most) {
        const timespec wait{.tv_sec = most / 1s, .tv_nsec = (most % 1s).count()};
        siginfo_t info{};
        const int number = sigtimedwait(&watched_, &info, &wait);
        if (number <= 0 || number == SIGCHLD) {
            return;
        }
        asked_to_end_ = asked_to_end_ || number == SIGTERM || number == SIGINT;
        if (child_ > 0) {
            kill(child_, number);
        }
    }

    /// The broker's end; as process 1 of a container, others' ends are ours to take, too.
    std::optional<int> reap() {
        int status = 0;
        for (pid_t process = 0;
             (process = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0;) {
            if (process != child_) {
                continue;
            }
            if (WIFSTOPPED(status) || WIFCONTINUED(status)) {
                is_stopped_ = WIFSTOPPED(status);
                continue;
            }
            child_ = 0;
            return status;
        }
        return std::nullopt;
    }

    SupervisorLook look() const {
        SupervisorLook look{.at = now(), .is_stopped = is_stopped_};
        const auto status = read_status("/proc/" + std::to_string(child_));
        look.is_traced = status && status->traced;
        look.threads = threads_of(child_);
        if (beats_->phase == Beats::Phase::running) {
            const std::size_t loops = beats_->loops;
            for (std::size_t i = 0; i < loops; ++i) {
                look.loops.push_back({beats_->loop[i].thread, beats_->loop[i].count});
            }
        }
        return look;
    }

    const AfterEnd after_end_;
    const SupervisorRules rules_;
    UniqueFunction<int(Beats&)> broker_;
    const Logger log_ = own_log();
    Beats* beats_ = nullptr;
    sigset_t watched_{};
    sigset_t before_{};
    pid_t child_ = 0;
    bool is_stopped_ = false;
    bool asked_to_end_ = false;
};

}  // namespace

int supervise(AfterEnd after_end, const SupervisorRules& rules,
              UniqueFunction<int(Beats&)> broker) {
    return Supervisor(after_end, rules, std::move(broker)).run();
}

}  // namespace millrace::app
