// The planner at its largest: 1,000 brokers in 10 racks, 1 million partitions of 3 replicas.
#include <benchmark/benchmark.h>
#include <string>

#include "base/random.h"
#include "placement/plan.h"

namespace millrace::placement {
namespace {

constexpr int racks = 10;
constexpr int factor = 3;

/// Settled: even counts, one replica a rack, topics of very different sizes.
Snapshot settled(int brokers, int partitions) {
    SeededRandom random(1);
    Snapshot snapshot;
    for (int i = 0; i < brokers; ++i) {
        BrokerState broker;
        broker.id = BrokerId{i};
        broker.rack = "rack-" + std::to_string(i % racks);
        snapshot.brokers.push_back(std::move(broker));
    }
    int left = partitions;
    for (int t = 0, next = 0; left > 0; ++t) {
        TopicState topic;
        topic.name = "topic-" + std::to_string(t);
        const int size = std::min(left, t < 100 ? 2'000 : static_cast<int>(random.between(1, 80)));
        for (int p = 0; p < size; ++p, ++next) {
            PartitionState state;
            state.index = p;
            state.bytes = random.between(1, 1 << 20);
            for (int r = 0; r < factor; ++r) {
                state.replicas.push_back({BrokerId{(next * factor + r) % brokers}, -1, true});
            }
            state.leader = state.replicas.front().broker;
            topic.partitions.push_back(std::move(state));
        }
        left -= size;
        snapshot.topics.push_back(std::move(topic));
    }
    return snapshot;
}

void report(benchmark::State& state, const Plan& plan) {
    state.counters["moves"] = static_cast<double>(plan.replica_moves);
    state.counters["bound"] = static_cast<double>(plan.lower_bound);
    state.counters["unmet"] = static_cast<double>(plan.unmet.size());
}

void scale_out(benchmark::State& state) {
    const auto brokers = static_cast<int>(state.range(0));
    Snapshot snapshot = settled(brokers, static_cast<int>(state.range(1)));
    for (int i = 0; i < brokers / 10; ++i) {
        BrokerState another = snapshot.brokers[static_cast<std::size_t>(i)];
        another.id = BrokerId{brokers + i};
        snapshot.brokers.push_back(std::move(another));
    }
    Plan found;
    for (auto _ : state) {
        found = plan(snapshot, {}, {});
    }
    report(state, found);
}
BENCHMARK(scale_out)->Args({100, 20'000})->Args({1'000, 1'000'000})->Unit(benchmark::kMillisecond);

void drain(benchmark::State& state) {
    Snapshot snapshot = settled(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
    for (std::size_t i = 0; i < snapshot.brokers.size() / 100; ++i) {
        snapshot.brokers[i * 7].standing = Standing::draining;
    }
    Desired desired;
    desired.mode = Mode::drain;
    Plan found;
    for (auto _ : state) {
        found = plan(snapshot, desired, {});
    }
    report(state, found);
}
BENCHMARK(drain)->Args({100, 20'000})->Args({1'000, 1'000'000})->Unit(benchmark::kMillisecond);

void nothing_to_do(benchmark::State& state) {
    const Snapshot snapshot = settled(1'000, 1'000'000);
    Plan found;
    for (auto _ : state) {
        found = plan(snapshot, {}, {});
    }
    report(state, found);
}
BENCHMARK(nothing_to_do)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace millrace::placement
