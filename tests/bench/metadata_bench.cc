// What changes of metadata cost when there is a lot of it: 10,000 topics of 100 partitions, three
// replicas each, on 100 brokers in 10 racks; and the same beside a small cluster, to show that a
// change costs what it changes.
#include <benchmark/benchmark.h>
#include <fstream>
#include <malloc.h>
#include <memory>
#include <string>
#include <unistd.h>

#include "config/config.h"
#include "metadata/config_rules.h"
#include "metadata/controller_core.h"
#include "metadata/snapshot.h"
#include "protocol/messages/broker_heartbeat_request.h"
#include "protocol/messages/broker_heartbeat_response.h"
#include "protocol/messages/create_topics_request.h"
#include "protocol/messages/create_topics_response.h"
#include "protocol/messages/partition_change_record.h"
#include "protocol/messages/partition_record.h"
#include "protocol/messages/register_broker_record.h"
#include "protocol/messages/topic_record.h"

namespace millrace::metadata {
namespace {

constexpr int brokers = 100;
constexpr int partitions_per_topic = 100;

double resident_mib() {
    std::ifstream statm("/proc/self/statm");
    std::int64_t total = 0;
    std::int64_t resident = 0;
    statm >> total >> resident;
    return static_cast<double>(resident * sysconf(_SC_PAGESIZE)) / (1 << 20);
}

Uuid topic_id(int topic) {
    return Uuid{0x7000, static_cast<std::uint64_t>(topic) * 0x9e3779b9};
}
Uuid directory(int broker) {
    return Uuid{0x900, static_cast<std::uint64_t>(broker)};
}

void replay(Delta& delta, const RecordList& records) {
    for (std::size_t i = 0; i < records.size(); ++i) {
        if (!delta.replay(records[i], Offset{0})) {
            std::abort();
        }
    }
}

void add_topic(RecordList& records, int topic) {
    const std::string name =
        "team." + std::to_string(topic % 100) + ".orders-" + std::to_string(topic);
    protocol::TopicRecord record;
    record.name = name;
    record.topic_id = topic_id(topic);
    records.add(record, 0);
    for (int i = 0; i < partitions_per_topic; ++i) {
        protocol::PartitionRecord partition;
        partition.topic_id = topic_id(topic);
        partition.partition_id = i;
        for (int r = 0; r < 3; ++r) {
            const int broker = (topic + i * 7 + r * 31) % brokers;
            partition.replicas.push_back(broker);
            partition.directories.push_back(directory(broker));
        }
        partition.isr = partition.replicas;
        partition.leader = partition.replicas[0];
        partition.leader_epoch = 0;
        partition.partition_epoch = 0;
        records.add(partition, 2);
    }
}

struct Cluster {
    explicit Cluster(int topics) : topics(topics) {
        const double before = resident_mib();
        Delta delta{Image{}};
        RecordList records;
        Context context = at(Offset{0});
        records.append(bootstrap(context).draft.records());
        for (int id = 0; id < brokers; ++id) {
            protocol::RegisterBrokerRecord broker;
            const std::string rack = "rack-" + std::to_string(id % 10);
            broker.broker_id = id;
            broker.broker_epoch = id;
            broker.rack = rack;
            broker.fenced = false;
            broker.log_dirs = {directory(id)};
            records.add(broker, 4);
        }
        replay(delta, records);
        for (int topic = 0; topic < topics; ++topic) {
            RecordList made;
            add_topic(made, topic);
            replay(delta, made);
        }
        image = delta.after();
        image_mib = resident_mib() - before;
        index = ControllerIndex::of(image);
        for (int id = 0; id < brokers; ++id) {
            sessions.begin(BrokerId{id}, BrokerEpoch{id}, Instant{});
        }
    }
    Context at(Offset offset) {
        return Context{image, index, sessions, Instant{}, random, rules, options, offset};
    }

    int topics;
    double image_mib = 0;
    Image image;
    ControllerIndex index;
    Sessions sessions{3s};
    SeededRandom random{1};
    ControllerOptions options;
    TableConfigRules rules{config::load({}).given, BrokerId{0}};
};

/// Built once for each size.
Cluster& cluster(std::int64_t topics) {
    static std::map<std::int64_t, std::unique_ptr<Cluster>> built;
    auto& one = built[topics];
    if (!one) {
        one = std::make_unique<Cluster>(static_cast<int>(topics));
    }
    return *one;
}

RecordList changes(int topics, std::int64_t count, SeededRandom& random) {
    RecordList records;
    for (std::int64_t i = 0; i < count; ++i) {
        protocol::PartitionChangeRecord change;
        change.topic_id =
            topic_id(static_cast<int>(random.below(static_cast<std::uint64_t>(topics))));
        change.partition_id = static_cast<std::int32_t>(random.below(partitions_per_topic));
        change.leader = static_cast<std::int32_t>(random.below(brokers));
        records.add(change, 2);
    }
    return records;
}

/// A committed batch of `changes` ISR or leader changes becomes the next image.
void BM_NextImage(benchmark::State& state) {
    Cluster& at = cluster(state.range(0));
    SeededRandom random(7);
    Image image = at.image;
    std::vector<RecordList> batches;
    for (int i = 0; i < 64; ++i) {
        batches.push_back(changes(at.topics, state.range(1), random));
    }
    std::size_t next = 0;
    for (auto _ : state) {
        Delta delta(image);
        replay(delta, batches[next++ % batches.size()]);
        image = delta.after();
    }
    state.counters["partitions"] = static_cast<double>(at.image.topics.partition_count());
    state.counters["image_MiB"] = at.image_mib;
    state.SetItemsProcessed(state.iterations() * state.range(1));
}
BENCHMARK(BM_NextImage)
    ->ArgNames({"topics", "changes"})
    ->ArgsProduct({{10, 10'000}, {1, 100, 10'000}})
    ->Unit(benchmark::kMicrosecond);

/// Eight images in a row, all of them held by readers: the heap that each takes beside the one
/// before it is what changed and the paths to it, not another image.
void BM_ImagesHeld(benchmark::State& state) {
    constexpr std::size_t held = 8;
    Cluster& at = cluster(state.range(0));
    SeededRandom random(7);
    std::vector<RecordList> batches;
    for (std::size_t i = 0; i < held; ++i) {
        batches.push_back(changes(at.topics, state.range(1), random));
    }
    double taken = 0;
    for (auto _ : state) {
        std::vector<Image> images{at.image};
        images.reserve(held + 1);
        state.PauseTiming();
        const std::size_t before = mallinfo2().uordblks;
        state.ResumeTiming();
        for (const RecordList& batch : batches) {
            Delta delta(images.back());
            replay(delta, batch);
            images.push_back(delta.after());
        }
        state.PauseTiming();
        taken = static_cast<double>(mallinfo2().uordblks - before) / held;
        images.clear();
        state.ResumeTiming();
    }
    state.counters["partitions"] = static_cast<double>(at.image.topics.partition_count());
    state.counters["KiB_each"] = taken / 1024;
    state.SetItemsProcessed(state.iterations() * state.range(1) * static_cast<int>(held));
}
BENCHMARK(BM_ImagesHeld)
    ->ArgNames({"topics", "changes"})
    ->ArgsProduct({{10, 10'000}, {1, 100, 10'000}})
    ->Iterations(4)
    ->Unit(benchmark::kMicrosecond);

/// A broker with 1/100 of all replicas goes: the decision, ready to append.
void BM_FenceBroker(benchmark::State& state) {
    Cluster& at = cluster(state.range(0));
    std::size_t records = 0;
    for (auto _ : state) {
        Context context = at.at(Offset{1});
        const auto decision = fence_broker(context, BrokerId{5}, BrokerEpoch{5});
        records = decision.draft.records().size();
    }
    state.counters["records"] = static_cast<double>(records);
}
BENCHMARK(BM_FenceBroker)->ArgName("topics")->Arg(10)->Arg(10'000)->Unit(benchmark::kMillisecond);

void BM_IndexFollowsFencing(benchmark::State& state) {
    Cluster& at = cluster(state.range(0));
    Context context = at.at(Offset{1});
    const auto decision = fence_broker(context, BrokerId{5}, BrokerEpoch{5});
    for (auto _ : state) {
        ControllerIndex index = at.index;
        index.apply(decision.draft.delta());
        benchmark::DoNotOptimize(index);
    }
}
BENCHMARK(BM_IndexFollowsFencing)->ArgName("topics")->Arg(10'000)->Unit(benchmark::kMillisecond);

void BM_Heartbeat(benchmark::State& state) {
    Cluster& at = cluster(state.range(0));
    protocol::BrokerHeartbeatRequest request;
    request.broker_id = 5;
    request.broker_epoch = 5;
    request.current_metadata_offset = 1'000'000;
    at.sessions.begin(BrokerId{5}, BrokerEpoch{5}, Instant{});
    for (auto _ : state) {
        Context context = at.at(Offset{1});
        benchmark::DoNotOptimize(broker_heartbeat(context, request));
    }
}
BENCHMARK(BM_Heartbeat)->ArgName("topics")->Arg(10'000)->Unit(benchmark::kNanosecond);

void BM_CreateTopic(benchmark::State& state) {
    Cluster& at = cluster(state.range(0));
    protocol::CreateTopicsRequest request;
    auto& topic = request.topics.emplace_back();
    topic.name = "new.topic";
    topic.num_partitions = static_cast<std::int32_t>(state.range(1));
    topic.replication_factor = 3;
    for (auto _ : state) {
        Context context = at.at(Offset{1});
        benchmark::DoNotOptimize(create_topics(context, request, {}));
    }
}
BENCHMARK(BM_CreateTopic)
    ->ArgNames({"topics", "partitions"})
    ->ArgsProduct({{10, 10'000}, {1, 100, 10'000}})
    ->Unit(benchmark::kMicrosecond);

void BM_WriteSnapshot(benchmark::State& state) {
    Cluster& at = cluster(state.range(0));
    std::size_t bytes = 0;
    for (auto _ : state) {
        ImageWriter writer(at.image);
        bytes = 0;
        for (RecordList slice = writer.next(1'000); !slice.empty(); slice = writer.next(1'000)) {
            bytes += slice.total_bytes();
        }
    }
    state.counters["MiB"] = static_cast<double>(bytes) / (1 << 20);
}
BENCHMARK(BM_WriteSnapshot)->ArgName("topics")->Arg(10'000)->Unit(benchmark::kMillisecond);

void BM_LoadSnapshot(benchmark::State& state) {
    const RecordList records = image_to_records(cluster(state.range(0)).image);
    for (auto _ : state) {
        Delta delta{Image{}};
        replay(delta, records);
        benchmark::DoNotOptimize(delta.after());
    }
}
BENCHMARK(BM_LoadSnapshot)->ArgName("topics")->Arg(10'000)->Unit(benchmark::kMillisecond);

void BM_BuildIndex(benchmark::State& state) {
    for (auto _ : state) {
        benchmark::DoNotOptimize(ControllerIndex::of(cluster(state.range(0)).image));
    }
}
BENCHMARK(BM_BuildIndex)->ArgName("topics")->Arg(10'000)->Unit(benchmark::kMillisecond);

void BM_FindPartition(benchmark::State& state) {
    Cluster& at = cluster(state.range(0));
    SeededRandom random(3);
    for (auto _ : state) {
        const TopicIdPartition which{
            topic_id(static_cast<int>(random.below(static_cast<std::uint64_t>(at.topics)))),
            PartitionIndex{static_cast<std::int32_t>(random.below(partitions_per_topic))}};
        benchmark::DoNotOptimize(at.image.topics.partition(which));
    }
}
BENCHMARK(BM_FindPartition)->ArgName("topics")->Arg(10)->Arg(10'000);

}  // namespace
}  // namespace millrace::metadata
