// millrace-operator: the process around one Operator.

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <fmt/core.h>
#include <fstream>
#include <link.h>
#include <malloc.h>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

#include "operator/app/local_mode.h"
#include "operator/app/metrics.h"
#include "operator/app/operator.h"
#include "operator/app/options.h"
#include "operator/kube/client.h"
#include "operator/kube/credentials.h"
#include "operator/reconcile/farewell.h"
#include "runtime/real/stderr_log.h"

namespace millrace::op {
namespace {

constexpr int exit_bad_usage = 2;
constexpr auto longest_silence = std::chrono::minutes(10);
constexpr auto give_back_every = std::chrono::seconds(15);
constexpr auto say_every = std::chrono::seconds(3);
constexpr unsigned longest_end = 60;  ///< Seconds; brokers have 30 of them.

/// In one line.
void complain(const Error& error) {
    std::string text = error.message();
    std::replace(text.begin(), text.end(), '\n', ' ');
    fmt::print(stderr, "millrace-operator: {}\n", text);
}

Level level_of(const std::string& text) {
    for (const Level level : {Level::debug, Level::info, Level::warn, Level::error}) {
        if (to_string(level) == text) {
            return level;
        }
    }
    return Level::info;
}

std::string text_of(const char* variable) {
    const char* value = std::getenv(variable);
    return value == nullptr ? "" : value;
}

std::string host_name() {
    char name[256] = {};
    return gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

/// Programs and libraries are read from end to end when they are linked together at the start;
/// afterwards most of that is of no use. What still is comes back from the page cache.
void give_read_only_pages_back() {
    const auto each = [](dl_phdr_info* object, std::size_t, void*) {
        for (int i = 0; i < object->dlpi_phnum; ++i) {
            const ElfW(Phdr)& part = object->dlpi_phdr[i];
            if (part.p_type != PT_LOAD || (part.p_flags & PF_W) != 0) {
                continue;
            }
            const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
            const std::uintptr_t begin = (object->dlpi_addr + part.p_vaddr) & ~(page - 1);
            const std::uintptr_t end = object->dlpi_addr + part.p_vaddr + part.p_memsz;
            // Advice: where it isn't taken, nothing but memory is lost.
            (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
        }
        return 0;
    };
    dl_iterate_phdr(each, nullptr);
}

/// 0 where the kernel doesn't say.
std::int64_t resident_bytes() {
    std::ifstream statm("/proc/self/statm");
    std::int64_t size = 0;
    std::int64_t resident = 0;
    statm >> size >> resident;
    return resident * sysconf(_SC_PAGESIZE);
}

/// cpprest reads whom the machine trusts for every connection, before anybody can say that only
/// the API server's own authority counts: time at the start, and memory for each of its watches.
/// Only while there are no other threads.
void trust_nobody_by_default() {
    ::setenv("SSL_CERT_FILE", "/dev/null", 1);
}

Result<kube::Credentials> find_credentials(const CommandLine& line) {
    const std::filesystem::path named =
        line.kubeconfig.empty() ? text_of("KUBECONFIG") : line.kubeconfig.string();
    if (!named.empty()) {
        return kube::from_kubeconfig(named, line.context);
    }
    return kube::from_pod("/var/run/secrets/kubernetes.io/serviceaccount",
                          text_of("KUBERNETES_SERVICE_HOST"), text_of("KUBERNETES_SERVICE_PORT"));
}

OperatorOptions operator_options(const CommandLine& line, const kube::Credentials& credentials,
                                 Logger log) {
    const bool is_local = !line.local.empty();
    OperatorOptions options;
    const std::string own = credentials.space.empty() ? "default" : credentials.space;
    const bool all = is_local || line.all_spaces;
    if (!all) {
        options.spaces = line.spaces.empty() ? std::vector<std::string>{own} : line.spaces;
    }
    options.reads_nodes = is_local || line.reads_nodes;
    options.around.image = line.image;
    options.around.image_pull_secrets = line.pull_secrets;
    options.around.platform_ids = line.platform_ids;
    options.around.version = MILLRACE_VERSION;
    options.around.one_version = is_local;
    options.around.domain = is_local ? "" : line.cluster_domain;
    // Anywhere but on loopback, brokers let nobody near their admin endpoint without a certificate.
    options.around.admin_tls = !is_local;
    options.election.lease = {own, "millrace-operator"};
    // DIR has one user at a time (its lock says so): after a crash the lease is still ours.
    options.election.identity = !line.identity.empty() ? line.identity
                                : is_local             ? "local"
                                                       : host_name();
    options.log = std::move(log);
    return options;
}

bool is_ready(const kube::Json& cluster) {
    for (const kube::Json& condition : cluster["status"]["conditions"].items()) {
        if (condition["type"].text() == "Ready") {
            return condition["status"].text() == "True" &&
                   cluster["status"]["observedGeneration"].integer() ==
                       cluster["metadata"]["generation"].integer();
        }
    }
    return false;
}

/// Until a signal, or until nothing has been heard from the API server for too long.
class Vigil {
public:
    Vigil(Operator& one, const std::vector<kube::Json>& applied, std::filesystem::path kubeconfig,
          bool greets)
        : operator_(one), applied_(applied), kubeconfig_(std::move(kubeconfig)), greets_(greets) {}

    int keep(const sigset_t& stops, const std::atomic<bool>& lost) {
        for (;;) {
            // Short steps until there was something to greet with, then long ones.
            const timespec step = greets_ ? timespec{0, 50'000'000} : timespec{1, 0};
            if (sigtimedwait(&stops, nullptr, &step) > 0) {
                return EXIT_SUCCESS;
            }
            if (lost) {
                fmt::print(stderr, "millrace-operator: another operator leads now\n");
                return EXIT_FAILURE;
            }
            if (operator_.silence() > longest_silence) {
                fmt::print(stderr, "millrace-operator: the API server has been silent for {} min\n",
                           longest_silence.count());
                return EXIT_FAILURE;
            }
            greet_once();
            give_memory_back();
        }
    }

private:
    /// What a burst needed (a first list, a thousand topics) the allocator would keep for ever.
    void give_memory_back() {
        const auto now = std::chrono::steady_clock::now();
        if (now - gave_back_ >= give_back_every) {
            gave_back_ = now;
            malloc_trim(0);
            if (!has_begun_) {
                has_begun_ = true;
                give_read_only_pages_back();
            }
        }
    }

    void greet_once() {
        if (!greets_ || !operator_.synced()) {
            return;
        }
        std::string waits;
        for (const kube::ObjectPtr& cluster : operator_.clusters()) {
            if (!is_of_manifest(*cluster)) {
                continue;
            }
            if (is_ready(*cluster) && operator_.is_up(kube::key_of(*cluster))) {
                fmt::print("{}", greeting(*cluster, applied_, kubeconfig_));
                std::fflush(stdout);
                greets_ = false;
                return;
            }
            waits += progress(*cluster);
        }
        say_what_takes_long(waits);
    }

    /// Where the manifest has no cluster, any is greeted.
    bool is_of_manifest(const kube::Json& cluster) const {
        const auto is_cluster = [](const kube::Json& one) {
            return one["kind"].text() == "Cluster";
        };
        return std::none_of(applied_.begin(), applied_.end(), is_cluster) ||
               std::any_of(applied_.begin(), applied_.end(), [&](const kube::Json& one) {
                   return is_cluster(one) && kube::key_of(one) == kube::key_of(cluster);
               });
    }

    /// Nobody should wonder whether it hangs: a roll or a scale-in goes on where it was.
    void say_what_takes_long(const std::string& waits) {
        const auto now = std::chrono::steady_clock::now();
        if (waits != said_ && now - said_at_ >= say_every) {
            fmt::print("{}", waits);
            std::fflush(stdout);
            said_ = waits;
            said_at_ = now;
        }
    }

    Operator& operator_;
    const std::vector<kube::Json>& applied_;
    const std::filesystem::path kubeconfig_;
    bool greets_;
    std::chrono::steady_clock::time_point gave_back_ = std::chrono::steady_clock::now();
    bool has_begun_ = false;
    std::string said_;
    std::chrono::steady_clock::time_point said_at_ = std::chrono::steady_clock::now();
};

Shown what_to_show(Operator& one, Metrics& metrics) {
    Shown shown;
    shown.healthy = [&one] { return one.silence() < longest_silence; };
    shown.ready = [&one] { return one.synced(); };
    shown.metrics = [&one, &metrics] {
        std::map<std::string, double> phases;
        if (one.synced()) {
            for (const kube::ObjectPtr& cluster : one.clusters()) {
                ++phases[(*cluster)["status"]["phase"].text_or("Unknown")];
            }
        }
        std::vector<std::pair<Metrics::Labels, double>> by_phase;
        for (const auto& [phase, count] : phases) {
            by_phase.push_back({{{"phase", phase}}, count});
        }
        metrics.set(MetricId::clusters, std::move(by_phase));
        metrics.set(MetricId::queue_length, {{{}, static_cast<double>(one.waiting())}});
        metrics.set(MetricId::leader, {{{}, one.leads() ? 1.0 : 0.0}});
        metrics.set(MetricId::resident_bytes, {{{}, static_cast<double>(resident_bytes())}});
        metrics.set(MetricId::watch_silence, {{{}, to_seconds(one.silence())}});
        return metrics.to_text();
    };
    return shown;
}

/// Asked to end, maybe since the namespace that the operator runs in goes.
void leave_namespace(const kube::Credentials& credentials, const Logger& log) {
    const std::string& space = credentials.space;
    if (space.empty()) {
        return;
    }
    // The operator's own connection ended with it.
    kube::ClientOptions client;
    client.log = log;
    const auto api = kube::connect(credentials, client);
    const auto left = api ? reconcile::leave_namespace(**api, space) : Result<int>(api.error());
    if (!left) {  // Not an alarm: its rights may go before it does.
        MR_LOG(log, info, "operator.farewell_failed", field("namespace", space),
               field("reason", left.error().to_string()));
    } else if (*left > 0) {
        MR_LOG(log, info, "operator.left_namespace", field("namespace", space),
               field("finalizers", *left));
    }
}

/// All that runs, and how it ends. It is never destroyed: the end of the process takes what is
/// left.
class Program {
public:
    Program(const CommandLine& line, Logger log)
        : line_(line), where_(line), log_(std::move(log)) {}

    /// Until there is a reason to end.
    Result<int> run(const std::vector<kube::Json>& manifests, const sigset_t& stops) {
        if (!line_.local.empty()) {
            MR_TRY_VOID(begin_local());
        }
        MR_LOG(log_, info, "operator.starts", field("version", MILLRACE_VERSION));
        MR_TRY(credentials_, find_credentials(where_));
        if (!local_ && !credentials_.ca_pem.empty()) {
            trust_nobody_by_default();
        }
        kube::ClientOptions client;
        client.log = log_;
        MR_TRY(const auto api, kube::connect(credentials_, client));
        OperatorOptions options = operator_options(line_, credentials_, log_);
        if (line_.dry_run) {
            MR_TRY(const auto lines, dry_run(api, options));
            for (const std::string& text : lines) {
                fmt::print("{}\n", text);
            }
            return EXIT_SUCCESS;
        }
        std::vector<kube::Json> applied;
        if (!manifests.empty()) {
            MR_TRY(applied, apply_manifests(manifests, where_.kubeconfig, log_));
        }
        options.on_lost = [this] { lost_ = true; };
        options.metrics = &metrics_;
        operator_ = Operator::start(api, std::move(options));
        if (!line_.metrics_listener.empty()) {
            MR_TRY(door_,
                   HealthDoor::open(line_.metrics_listener, what_to_show(*operator_, metrics_)));
        }
        return Vigil(*operator_, applied, where_.kubeconfig, !applied.empty()).keep(stops, lost_);
    }

    /// Whatever the reason was.
    void end(bool asked_to) {
        if (local_ && !line_.log_file.empty() && asked_to) {
            fmt::print("Stopping ...\n");
            std::fflush(stdout);
        }
        ::alarm(longest_end);  // Who sent a signal isn't to send another because we hang.
        if (door_) {
            door_->shut();
        }
        operator_.reset();
        if (!local_ && asked_to) {
            leave_namespace(credentials_, log_);
        }
        if (local_) {
            local_->stop(std::chrono::seconds(30));
        }
    }

private:
    Result<void> begin_local() {
        trust_nobody_by_default();
        MR_TRY(local_, start_local(line_, log_));
        where_.kubeconfig = local_->kubeconfig();
        if (!line_.log_file.empty()) {
            fmt::print("Starting below {} (log in {}) ...\n", line_.local.string(),
                       line_.log_file.string());
            std::fflush(stdout);
        }
        return {};
    }

    const CommandLine& line_;
    CommandLine where_;
    const Logger log_;
    std::unique_ptr<local::LocalCluster> local_;
    kube::Credentials credentials_;
    std::atomic<bool> lost_ = false;
    Metrics metrics_;
    std::unique_ptr<Operator> operator_;
    std::unique_ptr<HealthDoor> door_;
};

/// Standard error, or a file of its own. It is made by its first line: who finds that another
/// operator runs in the directory leaves its log alone.
class LogFile final : public LogSink {
public:
    explicit LogFile(std::filesystem::path path) : path_(std::move(path)) {}
    void write(Level level, std::string_view event, std::initializer_list<Field> fields) override {
        std::call_once(opened_, [this] {
            const int file = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
            if (file < 0) {
                fmt::print(stderr, "millrace-operator: {}: {}; the log goes here\n", path_.string(),
                           std::strerror(errno));
            }
            sink_.emplace(file < 0 ? STDERR_FILENO : file);
        });
        sink_->write(level, event, fields);
    }

private:
    const std::filesystem::path path_;
    std::once_flag opened_;
    std::optional<runtime::DescriptorLogSink> sink_;
};

std::shared_ptr<LogSink> log_sink(const CommandLine& line) {
    if (line.log_file.empty()) {
        return std::make_shared<runtime::DescriptorLogSink>();
    }
    return std::make_shared<LogFile>(line.log_file);
}

/// Doesn't return: threads of cpprest's and gRPC's go on until the process ends, and nothing that
/// they look at may be destroyed before.
[[noreturn]] void run(const CommandLine& line, const std::vector<kube::Json>& manifests,
                      const sigset_t& stops) {
    auto* program = new Program(line, Logger(log_sink(line), level_of(line.log_level)));  // NOLINT
    const auto status = program->run(manifests, stops);
    if (!status) {
        complain(status.error());
    }
    program->end(status && *status == EXIT_SUCCESS);
    std::fflush(nullptr);
    ::_exit(status ? *status : EXIT_FAILURE);
}

}  // namespace
}  // namespace millrace::op

int main(int argc, char** argv) {
    const auto line = millrace::op::parse_command_line(argc, argv);
    if (!line) {
        fmt::print(stderr, "millrace-operator: {} (--help shows what there is)\n",
                   line.error().message());
        return millrace::op::exit_bad_usage;
    }
    if (line->help) {
        fmt::print("{}", millrace::op::usage);
        return EXIT_SUCCESS;
    }
    if (line->version) {
        fmt::print("millrace-operator {}\n", MILLRACE_VERSION);
        return EXIT_SUCCESS;
    }
    // Before anything runs: who is told of a mistake has nothing to stop.
    const auto manifests = millrace::op::read_manifests(line->manifests);
    if (!manifests) {
        millrace::op::complain(manifests.error());
        return millrace::op::exit_bad_usage;
    }
    // Many threads that mostly sleep: memory of their own would be wasted.
    mallopt(M_ARENA_MAX, 2);
    // Blocked before any thread exists, so that only sigtimedwait() sees them. A shell without job
    // control starts what is in the background with SIGINT ignored; a hang-up that is ignored was
    // asked for (nohup).
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    std::signal(SIGINT, SIG_DFL);
    if (std::signal(SIGHUP, SIG_DFL) == SIG_IGN) {
        std::signal(SIGHUP, SIG_IGN);
    } else {
        sigaddset(&stops, SIGHUP);
    }
    pthread_sigmask(SIG_BLOCK, &stops, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    millrace::op::run(*line, *manifests, stops);
}
