#include "tests/sim/harness/isolated.h"

#include <cstring>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <poll.h>
#include <signal.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace millrace::simtest {

namespace {

/// What a child says of a run, in front of the violation's text.
struct Report {
    std::uint64_t index = 0;
    bool begun = false;  ///< Only that it begins.
    bool violated = false;
    std::uint64_t trace_hash = 0;
    std::uint64_t events = 0;
    std::uint64_t operations = 0;
    std::int64_t simulated = 0;
    std::uint64_t text_size = 0;
    sim::FaultCounts counts;
};
static_assert(std::is_trivially_copyable_v<Report>);

void write_all(int descriptor, const void* from, std::size_t size) {
    const auto* bytes = static_cast<const char*>(from);
    while (size > 0) {
        const ssize_t put = ::write(descriptor, bytes, size);
        if (put <= 0) {
            ::_exit(3);  // The parent is gone.
        }
        bytes += put;
        size -= static_cast<std::size_t>(put);
    }
}

[[noreturn]] void child_main(int pipe, std::size_t first, std::size_t step, std::size_t count,
                             const MakeOutcome& make) {
    for (std::size_t index = first; index < count; index += step) {
        Report report;
        report.index = index;
        report.begun = true;
        write_all(pipe, &report, sizeof(report));
        const Outcome outcome = make(index);
        const std::string text = outcome.violation.value_or("");
        report.begun = false;
        report.violated = outcome.violation.has_value();
        report.trace_hash = outcome.trace_hash;
        report.events = outcome.events;
        report.operations = outcome.operations;
        report.simulated = outcome.simulated.count();
        report.text_size = text.size();
        report.counts = outcome.counts;
        write_all(pipe, &report, sizeof(report));
        write_all(pipe, text.data(), text.size());
    }
    ::_exit(0);
}

std::string describe_end(int status) {
    if (WIFSIGNALED(status)) {
        return fmt::format("the process died: {}", ::strsignal(WTERMSIG(status)));
    }
    return fmt::format("the process ended with status {}", WEXITSTATUS(status));
}

/// One child with a share of the runs; a new one takes over where it dies.
class Worker {
public:
    Worker(std::size_t first, std::size_t step, std::size_t count, const MakeOutcome& make,
           const OnOutcome& on_outcome, const IsolatedOptions& options)
        : next_(first),
          step_(step),
          count_(count),
          make_(make),
          on_outcome_(on_outcome),
          options_(options) {
        launch();
    }
    ~Worker() { end_child(); }

    bool has_child() const { return child_ > 0; }
    int pipe() const { return pipe_; }
    bool stopped() const { return stopped_; }

    void on_readable() {
        char chunk[65536];
        const ssize_t got = ::read(pipe_, chunk, sizeof(chunk));
        if (got > 0) {
            heard_.append(chunk, static_cast<std::size_t>(got));
            last_heard_ = std::chrono::steady_clock::now();
            cut_reports();
            return;
        }
        on_child_end("");
    }
    void check_time() {
        if (has_child() && std::chrono::steady_clock::now() - last_heard_ > options_.longest_run) {
            on_child_end(fmt::format("hangs: no end after {} s", options_.longest_run.count()));
        }
    }

private:
    void launch() {
        if (next_ >= count_ || stopped_) {
            return;
        }
        int ends[2];
        MR_ASSERT(::pipe2(ends, O_CLOEXEC) == 0);
        child_ = ::fork();
        MR_ASSERT(child_ >= 0);
        if (child_ == 0) {
            ::close(ends[0]);
            if (options_.quiet) {
                const int null = ::open("/dev/null", O_WRONLY);
                ::dup2(null, 2);
            }
            child_main(ends[1], next_, step_, count_, make_);
        }
        ::close(ends[1]);
        pipe_ = ends[0];
        heard_.clear();
        last_heard_ = std::chrono::steady_clock::now();
    }

    void cut_reports() {
        while (heard_.size() >= sizeof(Report) && !stopped_) {
            Report report;
            std::memcpy(&report, heard_.data(), sizeof(report));
            if (heard_.size() < sizeof(report) + report.text_size) {
                return;
            }
            Outcome outcome;
            if (report.violated) {
                outcome.violation = heard_.substr(sizeof(report), report.text_size);
            }
            heard_.erase(0, sizeof(report) + report.text_size);
            if (report.begun) {
                running_ = report.index;
                continue;
            }
            running_.reset();
            next_ = report.index + step_;
            outcome.trace_hash = report.trace_hash;
            outcome.events = report.events;
            outcome.operations = report.operations;
            outcome.simulated = Duration{report.simulated};
            outcome.counts = report.counts;
            stopped_ = !on_outcome_(report.index, outcome);
        }
    }

    void on_child_end(std::string why) {
        const int status = end_child();
        if (running_) {
            Outcome outcome;
            outcome.violation = why.empty() ? describe_end(status) : why;
            const std::size_t index = *std::exchange(running_, std::nullopt);
            next_ = index + step_;
            stopped_ = !on_outcome_(index, outcome);
        }
        launch();
    }

    int end_child() {
        int status = 0;
        if (has_child()) {
            ::kill(child_, SIGKILL);  // Harmless if it has ended: we have not waited for it yet.
            ::waitpid(child_, &status, 0);
            ::close(pipe_);
            child_ = -1;
        }
        return status;
    }

    std::size_t next_;
    const std::size_t step_;
    const std::size_t count_;
    const MakeOutcome& make_;
    const OnOutcome& on_outcome_;
    const IsolatedOptions& options_;
    pid_t child_ = -1;
    int pipe_ = -1;
    std::string heard_;
    std::optional<std::size_t> running_;
    std::chrono::steady_clock::time_point last_heard_;
    bool stopped_ = false;
};

}  // namespace

void run_isolated(std::size_t count, const MakeOutcome& make, const OnOutcome& on_outcome,
                  const IsolatedOptions& options) {
    std::vector<std::unique_ptr<Worker>> workers;
    for (unsigned i = 0; i < options.processes; ++i) {
        workers.push_back(
            std::make_unique<Worker>(i, options.processes, count, make, on_outcome, options));
    }
    for (;;) {
        std::vector<pollfd> waits;
        std::vector<Worker*> who;
        for (const auto& worker : workers) {
            if (worker->stopped()) {
                return;
            }
            if (worker->has_child()) {
                waits.push_back({worker->pipe(), POLLIN, 0});
                who.push_back(worker.get());
            }
        }
        if (waits.empty()) {
            return;
        }
        ::poll(waits.data(), waits.size(), 1000);
        for (std::size_t i = 0; i < waits.size(); ++i) {
            if (waits[i].revents != 0) {
                who[i]->on_readable();
            } else {
                who[i]->check_time();
            }
        }
    }
}

Outcome run_alone(const std::function<Outcome()>& make, const IsolatedOptions& options) {
    Outcome result;
    run_isolated(
        1, [&](std::size_t) { return make(); },
        [&](std::size_t, const Outcome& outcome) {
            result = outcome;
            return true;
        },
        options);
    return result;
}

}  // namespace millrace::simtest
