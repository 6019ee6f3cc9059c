// What a start costs before it serves: a store is opened and every log in it recovered, four at a
// time, after a kill or a clean stop, with the manifest and without. DROP_CACHES=1 (as root) asks
// the same of a cold machine; TMPDIR says on which disk.
#include <atomic>
#include <benchmark/benchmark.h>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "base/random.h"
#include "record/batch_builder.h"
#include "record/batch_view.h"
#include "runtime/real/real_node.h"
#include "storage/log_store.h"

namespace millrace::storage {
namespace {

constexpr Timestamp today{1'700'000'000'000};

struct Shape {
    int logs = 1;
    int batches = 12;  ///< In each log.
    std::size_t batch_bytes = 100;
    Bytes segment = 1_GiB;
};

constexpr Shape small_4000{.logs = 4000};
constexpr Shape small_10000{.logs = 10'000};
constexpr Shape many_segments{.logs = 500, .batches = 600, .batch_bytes = 1000, .segment = 20_KiB};
constexpr Shape large_tails{.logs = 8, .batches = 2048, .batch_bytes = 131'072};

double cpu_ms() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto of = [](const timeval& time) {
        return 1e3 * static_cast<double>(time.tv_sec) + 1e-3 * static_cast<double>(time.tv_usec);
    };
    return of(usage.ru_utime) + of(usage.ru_stime);
}

/// Directories with logs in them, as a process leaves them that ran for a while.
class Written {
public:
    Written(const Shape& shape, bool clean)
        : shape_(shape), clean_(clean), node_(*runtime::RealNode::create({})) {
        const char* where = std::getenv("TMPDIR");
        path_ = std::string(where != nullptr ? where : "/tmp") + "/bench-storage-XXXXXX";
        if (::mkdtemp(path_.data()) == nullptr) {
            std::abort();
        }
        auto store = *open();
        std::vector<LogFacts> facts;
        OffsetMap points;
        for (int i = 0; i < shape.logs; ++i) {
            const TopicPartition partition{"orders", PartitionIndex{i}};
            auto log = *store->create(partition, Uuid{1, 2}, limits());
            fill(*log);
            facts.push_back(*log->take_facts());
            points[partition] = log->synced_end();
        }
        const auto& directory = store->directories().front();
        const auto begun = directory->begin_checkpoint();
        check(directory->write_manifest(begun, facts));
        check(directory->write_checkpoint(Checkpoint::recovery_point, begun, points));
        manifest_ = *node_->disk().read_whole(manifest_path(), 1 << 30);
    }
    ~Written() { check(node_->disk().remove_tree(path_)); }

    Result<std::unique_ptr<LogStore>> open() {
        return LogStore::open(
            node_->disk(),
            {.paths = {path_ + "/data"}, .identity = {.cluster_id = "bench", .node = BrokerId{1}}},
            random_, today, Logger{});
    }
    LogLimits limits() const { return {.segment_bytes = shape_.segment}; }

    void prepare(bool with_manifest) {
        const auto store = *open();
        if (clean_) {
            check(store->mark_clean_shutdown(BrokerEpoch{1}));
        }
        if (with_manifest) {
            check(node_->disk().replace_whole(manifest_path(), manifest_));
        } else if (*node_->disk().exists(manifest_path())) {
            check(node_->disk().remove(manifest_path()));
        }
        if (std::getenv("DROP_CACHES") != nullptr) {
            ::sync();
            std::ofstream("/proc/sys/vm/drop_caches") << 3;
        }
    }

private:
    static void check(const Result<void>& done) {
        if (!done) {
            std::fputs((done.error().to_string() + "\n").c_str(), stderr);
            std::abort();
        }
    }
    std::string manifest_path() const { return path_ + "/data/millrace-manifest"; }

    void fill(PartitionLog& log) {
        const std::string value(shape_.batch_bytes, 'v');
        for (int i = 0; i < shape_.batches; ++i) {
            record::BatchBuilder builder({.base_offset = log.end(),
                                          .leader_epoch = LeaderEpoch{0},
                                          .producer_id = ProducerId{7},
                                          .producer_epoch = ProducerEpoch{0},
                                          .base_sequence = i});
            builder.append({.timestamp = today.milliseconds, .value = as_bytes(value)});
            const Buffer bytes = builder.finish();
            const record::BatchView view = *record::BatchView::parse(bytes);
            check(log.append({&view, 1}, today));
        }
        if (clean_) {
            check(log.close_cleanly());
            return;
        }
        check(log.mark_tail());
        check(log.sync_now());
    }

    const Shape shape_;
    const bool clean_;
    std::unique_ptr<runtime::RealNode> node_;
    std::string path_;
    std::string manifest_;
    SeededRandom random_{1};
};

/// Arguments: after a clean stop, with the manifest.
void start(benchmark::State& state, const Shape& shape) {
    Written written(shape, state.range(0) != 0);
    double open_ms = 0;
    double cpu = 0;
    std::uint64_t scanned = 0;
    for (auto _ : state) {
        written.prepare(state.range(1) != 0);
        const double cpu_before = cpu_ms();
        const auto began = std::chrono::steady_clock::now();
        const auto store = *written.open();
        const auto opened = std::chrono::steady_clock::now();
        std::vector<std::unique_ptr<PartitionLog>> logs(store->found().size());
        std::vector<RecoveryReport> reports(logs.size());
        std::atomic<std::size_t> next{0};
        std::vector<std::thread> pool;
        for (int i = 0; i < 4; ++i) {
            pool.emplace_back([&] {
                for (auto at = next++; at < logs.size(); at = next++) {
                    logs[at] = *store->load(store->found()[at], written.limits(), &reports[at]);
                }
            });
        }
        for (std::thread& one : pool) {
            one.join();
        }
        const auto ended = std::chrono::steady_clock::now();
        cpu += cpu_ms() - cpu_before;
        open_ms += std::chrono::duration<double, std::milli>(opened - began).count();
        for (const RecoveryReport& report : reports) {
            scanned += report.scanned_bytes;
        }
        state.SetIterationTime(std::chrono::duration<double>(ended - began).count());
    }
    state.counters["open_ms"] = benchmark::Counter(open_ms, benchmark::Counter::kAvgIterations);
    state.counters["cpu_ms"] = benchmark::Counter(cpu, benchmark::Counter::kAvgIterations);
    state.counters["scanned_mib"] =
        benchmark::Counter(static_cast<double>(scanned >> 20), benchmark::Counter::kAvgIterations);
}

void both_ways(benchmark::internal::Benchmark* bench) {
    bench->ArgNames({"clean", "manifest"})->ArgsProduct({{0, 1}, {0, 1}});
    bench->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(3);
}

BENCHMARK_CAPTURE(start, small_4000, small_4000)->Apply(both_ways);
BENCHMARK_CAPTURE(start, small_10000, small_10000)->Apply(both_ways);
BENCHMARK_CAPTURE(start, many_segments, many_segments)->Apply(both_ways);
BENCHMARK_CAPTURE(start, large_tails, large_tails)->Apply(both_ways);

}  // namespace
}  // namespace millrace::storage
