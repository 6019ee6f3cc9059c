// One member of a metadata quorum as a process of its own, for Kafka's tools and Kafka's
// controllers to meet. See e2e/peers/quorum.
//
//   quorum_node ID PORT DIR CLUSTER_ID voters=1@host:port,... | servers=host:port,...
//               [topics=N]    as leader: append the records of N topics
//               [snapshot=N]  take a snapshot after every N records
//               [observer]    without the controller role
//
// Prints a line for each change of leadership and each second how far it is; ends on SIGTERM.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <string_view>
#include <unistd.h>

#include "protocol/messages/feature_level_record.h"
#include "protocol/messages/partition_record.h"
#include "protocol/messages/topic_record.h"
#include "protocol/record_frame.h"
#include "record/batch_builder.h"
#include "runtime/real/real_node.h"
#include "runtime/real/signals.h"
#include "runtime/real/stderr_log.h"
#include "tests/unit/raft/quorum_node.h"

namespace millrace::raft::test {
namespace {

template <typename Message>
void add(record::BatchBuilder& builder, const Message& message, std::int16_t version,
         Timestamp now) {
    Buffer value;
    protocol::Writer writer(value);
    protocol::write_metadata_record(writer, message, version);
    builder.append({.timestamp = now.milliseconds, .value = value});
}

/// A topic of one partition on broker 1, in Kafka's records.
Buffer topic_batch(int number, Timestamp now) {
    record::BatchBuilder builder({});
    if (number == 0) {
        add(builder, protocol::FeatureLevelRecord{.name = "metadata.version", .feature_level = 25},
            0, now);
    }
    const std::string name = fmt::format("topic-{}", number);
    const Uuid id{0x1234, static_cast<std::uint64_t>(number + 1)};
    add(builder, protocol::TopicRecord{.name = name, .topic_id = id}, 0, now);
    add(builder,
        protocol::PartitionRecord{.topic_id = id,
                                  .replicas = {1},
                                  .isr = {1},
                                  .leader = 1,
                                  .directories = std::vector<Uuid>{{0x77, 1}}},
        1, now);
    return builder.finish();
}

class Process {
public:
    Process(runtime::RealNode& machine, QuorumNodeOptions options, int topics)
        : machine_(machine), node_(machine, std::move(options), ledger_), topics_(topics) {
        executor().post([this] { tick(); });
    }

    QuorumNode& node() { return node_; }

private:
    runtime::Executor& executor() { return *machine_.control_shard().executor; }

    void tick() {
        if (!(node_.leadership() == said_)) {
            said_ = node_.leadership();
            std::printf("leader %d epoch %d%s\n", said_.leader.value, said_.epoch.value,
                        said_.is_self ? " (self)" : "");
        }
        if (node_.refused() || node_.halted()) {
            const Error& why = node_.refused() ? *node_.refused() : *node_.halted();
            std::fprintf(stderr, "%s\n", why.to_string().c_str());
            std::_Exit(3);
        }
        // A few at a time, so that more than one snapshot falls due.
        for (int i = 0; i < 10 && node_.is_leader() && topics_ > 0; ++i) {
            node_.append(topic_batch(next_topic_++, executor().clock().wall()));
            --topics_;
        }
        if (++ticks_ % 10 == 0) {
            std::printf("applied %ld of %ld, %zu records, voters %s\n",
                        static_cast<long>(node_.applied().value),
                        static_cast<long>(node_.driver()->log_end().value), node_.words().size(),
                        node_.driver()->voters().to_string().c_str());
        }
        std::fflush(stdout);
        executor().after(std::chrono::milliseconds(100), [this] { tick(); });
    }

    runtime::RealNode& machine_;
    Ledger ledger_;
    QuorumNode node_;
    Leadership said_;
    int topics_;
    int next_topic_ = 0;
    int ticks_ = 0;
};

Result<QuorumNodeOptions> parse(int count, char** arguments, int& topics) {
    QuorumNodeOptions options;
    options.quorum.node_id = BrokerId{std::atoi(arguments[1])};
    options.port = static_cast<std::uint16_t>(std::atoi(arguments[2]));
    options.root = arguments[3];
    options.quorum.cluster_id = arguments[4];
    options.quorum.listeners = {{"CONTROLLER", {"127.0.0.1", options.port}}};
    for (int i = 5; i < count; ++i) {
        const std::string_view argument = arguments[i];
        const auto value = [&](std::string_view name) { return argument.substr(name.size()); };
        if (argument.starts_with("voters=")) {
            MR_TRY(options.quorum.voters, parse_voters(value("voters="), "CONTROLLER"));
        } else if (argument.starts_with("servers=")) {
            MR_TRY(options.quorum.bootstrap_servers, parse_bootstrap_servers(value("servers=")));
        } else if (argument.starts_with("topics=")) {
            topics = std::atoi(argument.data() + 7);
        } else if (argument.starts_with("snapshot=")) {
            options.snapshot_every = static_cast<std::size_t>(std::atoi(argument.data() + 9));
        } else if (argument == "observer") {
            options.quorum.is_controller = false;
            options.quorum.listeners.clear();
        } else {
            return Error::make(Code::invalid, "unknown argument {}", argument);
        }
    }
    return options;
}

Result<void> run(int count, char** arguments) {
    MR_TRY(const auto signals, runtime::Signals::catch_from_here({SIGTERM, SIGINT}));
    int topics = 0;
    MR_TRY(auto options, parse(count, arguments, topics));
    const Logger log(std::make_shared<runtime::DescriptorLogSink>(), Level::info);
    MR_TRY(const auto machine, runtime::RealNode::create({.data_shards = 1, .log = log}));
    auto process = std::make_unique<Process>(*machine, std::move(options), topics);
    MR_TRY_VOID(
        signals->deliver_to(*machine, [&](int) { process->node().stop([] { std::_Exit(0); }); }));
    machine->start();
    while (true) {
        pause();
    }
}

}  // namespace
}  // namespace millrace::raft::test

int main(int count, char** arguments) {
    if (count < 6) {
        std::fprintf(stderr, "quorum_node ID PORT DIR CLUSTER_ID voters=...|servers=...\n");
        return 2;
    }
    const auto outcome = millrace::raft::test::run(count, arguments);
    std::fprintf(stderr, "%s\n", outcome ? "" : outcome.error().to_string().c_str());
    return 1;
}
