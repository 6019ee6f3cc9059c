#include "operator/local/internal/runner.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/core.h>
#include <fstream>
#include <map>
#include <mutex>
#include <poll.h>
#include <set>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "operator/local/internal/container_run.h"
#include "operator/local/internal/controllers.h"
#include "operator/local/internal/pki.h"
#include "operator/local/internal/pod_plan.h"
#include "operator/local/internal/text.h"

namespace millrace::local {

namespace {

using SteadyClock = std::chrono::steady_clock;

/// The end of the log, as `terminationMessagePolicy: FallbackToLogsOnError` shows it.
std::string last_words(const std::filesystem::path& log) {
    constexpr std::streamoff most = 2048;
    std::ifstream file(log, std::ios::binary | std::ios::ate);
    if (!file) {
        return "";
    }
    const std::streamoff size = file.tellg();
    file.seekg(std::max<std::streamoff>(0, size - most));
    std::string text(static_cast<std::size_t>(std::min(size, most)), '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    return text;
}

/// Writes what has changed, each file whole or not at all.
Result<void> write_files(const LaunchPlan& plan) {
    for (const std::filesystem::path& directory : plan.directories) {
        std::error_code failed;
        std::filesystem::create_directories(directory, failed);
        if (failed) {
            return Error::make(Code::io, "{}: {}", directory.string(), failed.message());
        }
    }
    for (const PlannedFile& planned : plan.files) {
        if (const auto now = read_file(planned.path); now && *now == planned.text) {
            continue;
        }
        std::error_code failed;
        std::filesystem::create_directories(planned.path.parent_path(), failed);
        MR_TRY_VOID(write_private_file(planned.path, planned.text));
    }
    return {};
}

struct PodRun {
    ObjectPtr pod;
    ObjectKey key;
    std::vector<std::unique_ptr<ContainerRun>> containers;
    bool stopping = false;
    bool vanished = false;  ///< No longer in the store: kill, don't report.
    SteadyTime kill_at = SteadyTime::max();

    bool any_running() const {
        return std::any_of(containers.begin(), containers.end(),
                           [](const auto& container) { return container->running(); });
    }
};

class RunnerThread final : public Runner {
public:
    RunnerThread(Server& server, Options options)
        : server_(server),
          options_(std::move(options)),
          wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        server_.wake_on({"pods", "secrets", "configmaps", "persistentvolumes"}, [this] { wake(); });
        thread_ = std::thread([this] { run(); });
    }

    ~RunnerThread() override {
        stop(std::chrono::milliseconds(0));
        ::close(wake_);
    }

    void stop(std::chrono::milliseconds at_most) override {
        {
            const std::lock_guard lock(mutex_);
            stop_by_ = std::min(stop_by_, SteadyClock::now() + at_most);
            stop_asked_ = true;
        }
        wake();
        if (thread_.joinable()) {
            thread_.join();
        }
    }

private:
    void wake() {
        const std::uint64_t one = 1;
        // A full counter wakes as well; nothing else can fail.
        (void)!::write(wake_, &one, sizeof(one));
    }

    void run() {
        while (true) {
            const SteadyTime now = SteadyClock::now();
            reap_ended(now);
            if (stopping(now)) {
                return;
            }
            if (!stop_seen_) {
                look(now);
                delete_volumes();
                start_containers(now);
            }
            probe(now);
            kill_late(now);
            report();
            wait();
        }
    }

    /// True once every process has ended.
    bool stopping(SteadyTime now) {
        SteadyTime by;
        {
            const std::lock_guard lock(mutex_);
            if (!stop_asked_) {
                return false;
            }
            by = stop_by_;
        }
        if (!stop_seen_) {
            stop_seen_ = true;
            for (auto& [uid, run] : runs_) {
                ask_to_stop(run, now, by);
            }
        }
        return std::none_of(runs_.begin(), runs_.end(),
                            [](const auto& entry) { return entry.second.any_running(); });
    }

    void ask_to_stop(PodRun& run, SteadyTime now, SteadyTime at_latest) {
        const auto grace =
            std::chrono::seconds((*run.pod)["metadata"]["deletionGracePeriodSeconds"].integer(
                (*run.pod)["spec"]["terminationGracePeriodSeconds"].integer(30)));
        run.kill_at = std::min({run.kill_at, now + grace, at_latest});
        if (!std::exchange(run.stopping, true)) {
            signal_all(run, SIGTERM);
        }
    }

    static void signal_all(PodRun& run, int number) {
        for (auto& container : run.containers) {
            if (container->running()) {
                ::kill(container->process().pid, number);
            }
        }
    }

    /// Takes over what the store says now.
    void look(SteadyTime now) {
        std::map<std::string, ObjectPtr> wanted;
        server_.locked([&](Resources& resources) {
            for (const ObjectPtr& pod : resources.store().list("pods", "")) {
                if (!(*pod)["spec"]["nodeName"].text().empty()) {
                    wanted[(*pod)["metadata"]["uid"].text()] = pod;
                }
            }
        });
        for (auto& [uid, pod] : wanted) {
            PodRun& run = runs_[uid];
            const bool fresh = run.pod == nullptr;
            run.pod = pod;
            if (fresh) {
                adopt(run);
            }
            if ((*pod)["metadata"].has("deletionTimestamp")) {
                ask_to_stop(run, now, SteadyTime::max());
            }
        }
        for (auto& [uid, run] : runs_) {
            if (!wanted.contains(uid) && !std::exchange(run.vanished, true)) {
                run.stopping = true;
                signal_all(run, SIGKILL);
            }
        }
        std::erase_if(runs_, [this](const auto& entry) {
            const bool over = entry.second.vanished && !entry.second.any_running();
            if (over) {
                clean_up(entry.first);
            }
            return over;
        });
    }

    /// Only what was deleted while we ran: a directory without a volume may be a lost journal's.
    void delete_volumes() {
        for (const std::string& name : server_.take_deleted_volumes()) {
            std::error_code failed;
            std::filesystem::remove_all(options_.dir / "volumes" / name, failed);
            if (failed) {
                MR_LOG(options_.log, warn, "local.volume_left", field("volume", name),
                       field("reason", failed.message()));
            }
        }
    }

    /// Files of a pod that is gone; its logs and its claims' volumes stay.
    void clean_up(const std::string& uid) {
        std::error_code failed;
        std::filesystem::remove_all(options_.dir / "pods" / uid, failed);
        if (failed) {
            MR_LOG(options_.log, warn, "local.pod_files_left", field("uid", uid),
                   field("reason", failed.message()));
        }
    }

    static void adopt(PodRun& run) {
        const Json& pod = *run.pod;
        run.key = {"pods", pod["metadata"]["namespace"].text(), pod["metadata"]["name"].text()};
        for (const Json& container : pod["spec"]["containers"].items()) {
            Json before;
            for (const Json& status : pod["status"]["containerStatuses"].items()) {
                if (status["name"] == container["name"]) {
                    before = status;
                }
            }
            run.containers.push_back(std::make_unique<ContainerRun>(pod, container, before));
        }
    }

    /// A new pod of the same name waits for the old one's process: they share address and disk.
    bool name_is_taken(const PodRun& run) const {
        return std::any_of(runs_.begin(), runs_.end(), [&](const auto& entry) {
            return &entry.second != &run && entry.second.key == run.key &&
                   entry.second.any_running();
        });
    }

    void start_containers(SteadyTime now) {
        const bool refresh = std::exchange(woken_, false);  // A mounted secret may have changed.
        for (auto& [uid, run] : runs_) {
            if (run.stopping || name_is_taken(run)) {
                continue;
            }
            for (auto& container : run.containers) {
                if (container->may_start(now) || (refresh && container->running())) {
                    prepare(run, *container, now);
                }
            }
        }
    }

    void prepare(PodRun& run, ContainerRun& container, SteadyTime now) {
        LaunchPlan plan;
        server_.locked([&](Resources& resources) {
            plan = plan_container(resources.store(), *run.pod, container.spec(), options_.dir,
                                  options_.program);
        });
        if (!plan.waiting_reason.empty()) {
            if (!container.running()) {
                say_waiting(run, container, plan.waiting_reason, plan.waiting_message);
            }
            return;
        }
        const Result<void> written = write_files(plan);
        if (!written) {
            say_waiting(run, container, "CreateContainerConfigError", written.error().message());
            return;
        }
        if (!container.running()) {
            launch(run, container, plan, now);
        }
    }

    void say_waiting(PodRun& run, ContainerRun& container, const std::string& reason,
                     const std::string& message) {
        if (container.running()) {
            MR_LOG(options_.log, warn, "local.mount_not_refreshed", field("pod", run.key.name),
                   field("reason", message));
            return;
        }
        const Json before = container.status()["state"]["waiting"]["message"];
        container.wait(reason, message);
        // What a pod mounts is mostly on its way; its status says what it waits for.
        if (before.text() != message && reason != "ContainerCreating") {
            event(run, "Warning", "Failed", message);
        }
    }

    void launch(PodRun& run, ContainerRun& container, const LaunchPlan& plan, SteadyTime now) {
        const Json before = container.status();
        const bool again =
            before["lastState"].has("terminated") || before["state"].has("terminated");
        ProcessStart start;
        start.program = options_.program;
        start.arguments = plan.arguments;
        start.environment = plan.environment;
        start.directory = options_.dir / "pods" / (*run.pod)["metadata"]["uid"].text();
        start.log = container_log(options_.dir, *run.pod, container.name(),
                                  container.starts() + (again ? 1 : 0));
        std::error_code failed;
        std::filesystem::create_directories(start.log.parent_path(), failed);
        const auto process = start_process(start);
        if (!process) {
            say_waiting(run, container, "CreateContainerError", process.error().message());
            return;
        }
        container.started(*process, now, wall());
        event(run, "Normal", "Started", fmt::format("Started container {}", container.name()));
    }

    void reap_ended(SteadyTime now) {
        for (auto& [uid, run] : runs_) {
            for (auto& container : run.containers) {
                const auto end = reap(container->process());
                if (!end) {
                    continue;
                }
                if (!run.stopping) {
                    run.kill_at = SteadyTime::max();  // A probe's verdict ends with the process.
                }
                const auto log =
                    container_log(options_.dir, *run.pod, container->name(), container->starts());
                const std::string policy =
                    run.stopping ? "Never" : (*run.pod)["spec"]["restartPolicy"].text();
                container->ended(*end, end->exit_code == 0 ? "" : last_words(log), now, wall(),
                                 policy);
                if (!run.stopping && end->exit_code != 0) {
                    event(run, "Warning", "BackOff",
                          fmt::format("container {} ended with exit code {}", container->name(),
                                      end->exit_code));
                }
            }
        }
    }

    void probe(SteadyTime now) {
        for (auto& [uid, run] : runs_) {
            for (auto& container : run.containers) {
                if (container->probe(now)) {
                    event(run, "Warning", "Unhealthy",
                          fmt::format("container {} failed its liveness or startup probe, it will "
                                      "be restarted",
                                      container->name()));
                    ::kill(container->process().pid, SIGTERM);
                    run.kill_at = std::min(
                        run.kill_at,
                        now + std::chrono::seconds(
                                  (*run.pod)["spec"]["terminationGracePeriodSeconds"].integer(30)));
                }
            }
        }
    }

    void kill_late(SteadyTime now) {
        for (auto& [uid, run] : runs_) {
            if (now >= run.kill_at) {
                signal_all(run, SIGKILL);
                run.kill_at = SteadyTime::max();
            }
        }
    }

    static std::string wall() {
        return rfc3339({std::chrono::duration_cast<std::chrono::milliseconds>(
                            std::chrono::system_clock::now().time_since_epoch())
                            .count()});
    }

    void event(const PodRun& run, std::string_view type, std::string_view reason,
               const std::string& message) {
        server_.locked([&](Resources& resources) {
            emit_event(resources, *run.pod, type, reason, message, "kubelet");
        });
    }

    /// Brings the pods' statuses up to date and ends pods whose processes have.
    void report() {
        if (stop_seen_) {
            return;  // What the store says is what the next run starts from.
        }
        server_.locked([&](Resources& resources) {
            for (auto& [uid, run] : runs_) {
                const ObjectPtr live = resources.store().get(run.key);
                if (!live || (*live)["metadata"]["uid"].text() != uid) {
                    continue;
                }
                const bool over = run.stopping && !run.any_running();
                resources.write(run.key, with_status(*live, run));
                if (over && (*live)["metadata"].has("deletionTimestamp")) {
                    finish(resources, run.key);
                }
            }
        });
    }

    static void finish(Resources& resources, const ObjectKey& key) {
        Json next = *resources.store().get(key);
        next["metadata"]["deletionGracePeriodSeconds"] = 0;
        const bool waits = !next["metadata"]["finalizers"].empty();
        if (waits) {
            resources.write(key, std::move(next));
        } else {
            resources.remove(key);
        }
    }

    static std::string phase_of(const PodRun& run) {
        bool all_finished = !run.containers.empty();
        bool failed = false;
        bool any_started = false;
        for (const auto& container : run.containers) {
            const Json status = container->status();
            all_finished = all_finished && container->finished();
            failed = failed || status["state"]["terminated"]["exitCode"].integer() != 0;
            any_started = any_started || container->running() ||
                          status["lastState"].has("terminated") ||
                          status["state"].has("terminated");
        }
        if (all_finished) {
            return failed ? "Failed" : "Succeeded";
        }
        return any_started ? "Running" : "Pending";
    }

    static Json with_status(const Json& live, const PodRun& run) {
        Json next = live;
        const std::string now = wall();
        Json statuses = Json::array({});
        bool ready = !run.containers.empty();
        std::string unready;
        for (const auto& container : run.containers) {
            statuses.push_back(container->status());
            if (!container->ready()) {
                ready = false;
                unready += (unready.empty() ? "" : " ") + container->name();
            }
        }
        const std::string why =
            ready ? "" : fmt::format("containers with unready status: [{}]", unready);
        next["status"]["containerStatuses"] = std::move(statuses);
        next["status"]["phase"] = phase_of(run);
        if (!live["status"].has("startTime")) {
            next["status"]["startTime"] = now;
        }
        set_condition(next, "Initialized", true, "", "", now);
        set_condition(next, "ContainersReady", ready, ready ? "" : "ContainersNotReady", why, now);
        set_condition(next, "Ready", ready, ready ? "" : "ContainersNotReady", why, now);
        return next;
    }

    void wait() {
        std::vector<pollfd> descriptors = {{wake_, POLLIN, 0}};
        SteadyTime deadline = SteadyClock::now() + std::chrono::seconds(5);
        for (auto& [uid, run] : runs_) {
            deadline = std::min(deadline, run.kill_at);
            for (auto& container : run.containers) {
                if (container->process().pidfd >= 0) {
                    descriptors.push_back({container->process().pidfd, POLLIN, 0});
                }
                if (!run.stopping) {
                    deadline = std::min(deadline, waking_deadline(*container));
                }
                container->each_probe([&](const Probe& probe) {
                    if (probe.descriptor() >= 0) {
                        descriptors.push_back(
                            {probe.descriptor(),
                             static_cast<short>(probe.wants_write() ? POLLOUT : POLLIN), 0});
                    }
                });
            }
        }
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - SteadyClock::now() + std::chrono::microseconds(999));
        ::poll(descriptors.data(), descriptors.size(),
               static_cast<int>(std::max<std::int64_t>(0, left.count())));
        std::uint64_t drained = 0;
        woken_ = ::read(wake_, &drained, sizeof(drained)) > 0 || woken_;
    }

    /// What waits for a config map or a secret is woken by it, not by time.
    static SteadyTime waking_deadline(const ContainerRun& container) {
        const bool waits_for_others =
            !container.running() && container.next_deadline() <= SteadyClock::now();
        return waits_for_others ? SteadyTime::max() : container.next_deadline();
    }

    Server& server_;
    const Options options_;
    const int wake_;

    std::mutex mutex_;
    bool stop_asked_ = false;
    SteadyTime stop_by_ = SteadyTime::max();

    // Only the thread's own.
    bool stop_seen_ = false;
    std::map<std::string, PodRun> runs_;  ///< By uid.
    bool woken_ = true;
    std::thread thread_;
};

}  // namespace

std::unique_ptr<Runner> Runner::start(Server& server, Options options) {
    return std::make_unique<RunnerThread>(server, std::move(options));
}

}  // namespace millrace::local
