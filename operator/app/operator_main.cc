// millrace-operator: the process around one Operator.

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fmt/core.h>
#include <fstream>
#include <link.h>
#include <malloc.h>
#include <map>
#include <memory>
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

int complain(const Error& error) {
    fmt::print(stderr, "millrace-operator: {}\n", error.message());
    return EXIT_FAILURE;
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
    options.space = all ? "" : (line.space.empty() ? own : line.space);
    options.reads_nodes = is_local || line.reads_nodes;
    options.around.image = line.image;
    options.around.version = MILLRACE_VERSION;
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

int run(const CommandLine& line, const sigset_t& stops) {
    const Logger log(std::make_shared<runtime::DescriptorLogSink>(), level_of(line.log_level));
    MR_LOG(log, info, "operator.starts", field("version", MILLRACE_VERSION));
    std::unique_ptr<local::LocalCluster> local;
    CommandLine where = line;
    if (!line.local.empty()) {
        trust_nobody_by_default();
        auto started = start_local(line, log);
        if (!started) {
            return complain(started.error());
        }
        local = *std::move(started);
        where.kubeconfig = local->kubeconfig();
    }
    const auto credentials = find_credentials(where);
    if (!credentials) {
        return complain(credentials.error());
    }
    if (!local && !credentials->ca_pem.empty()) {
        trust_nobody_by_default();
    }
    kube::ClientOptions client;
    client.log = log;
    auto api = kube::connect(*credentials, client);
    if (!api) {
        return complain(api.error());
    }
    OperatorOptions options = operator_options(line, *credentials, log);
    if (line.dry_run) {
        const auto lines = dry_run(*api, options);
        if (!lines) {
            return complain(lines.error());
        }
        for (const std::string& text : *lines) {
            fmt::print("{}\n", text);
        }
        return EXIT_SUCCESS;
    }
    std::atomic<bool> lost = false;
    options.on_lost = [&lost] { lost = true; };
    Metrics metrics;
    options.metrics = &metrics;
    auto one = Operator::start(*api, std::move(options));
    std::unique_ptr<HealthDoor> door;
    if (!line.metrics_listener.empty()) {
        auto opened = HealthDoor::open(line.metrics_listener, what_to_show(*one, metrics));
        if (!opened) {
            return complain(opened.error());
        }
        door = *std::move(opened);
    }
    std::vector<kube::Json> applied;
    if (!line.manifests.empty()) {
        auto result = apply_manifests(line.manifests, where.kubeconfig, log);
        if (!result) {
            return complain(result.error());
        }
        applied = *std::move(result);
    }
    const int status = Vigil(*one, applied, where.kubeconfig, !applied.empty()).keep(stops, lost);
    door.reset();
    one.reset();
    if (!local && status == EXIT_SUCCESS) {
        leave_namespace(*credentials, log);
    }
    if (local) {
        local->stop(std::chrono::seconds(30));
    }
    return status;
}

}  // namespace
}  // namespace millrace::op

int main(int argc, char** argv) {
    const auto line = millrace::op::parse_command_line(argc, argv);
    if (!line) {
        fmt::print(stderr, "millrace-operator: {}\n\n{}", line.error().message(),
                   millrace::op::usage);
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
    // Many threads that mostly sleep: memory of their own would be wasted.
    mallopt(M_ARENA_MAX, 2);
    // Blocked before any thread exists, so that only sigtimedwait() sees them.
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stops, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    return millrace::op::run(*line, stops);
}
