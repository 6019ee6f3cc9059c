// Writes metadata logs and snapshots for Kafka's tools and classes to read, and prints images line
// by line, as e2e/peers/metadata/PrintImage.java does from Kafka's own classes.
//
//   metadata_records write SEED LEVEL DIR   a random history at that metadata.version, as a log and
//                                           as a snapshot; prints the image
//   metadata_records read FILE...           a snapshot and/or log, in this order; prints the image
#include <cstdio>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>

#include "metadata/raft_log.h"
#include "protocol/messages/snapshot_footer_record.h"
#include "protocol/messages/snapshot_header_record.h"
#include "protocol/writer.h"
#include "record/batch_view.h"
#include "record/control.h"
#include "tests/unit/metadata/history.h"

namespace millrace::metadata {
namespace {

constexpr std::int64_t written_at = 1'700'000'000'000;

template <typename Range, typename Print>
std::string join(const Range& range, Print print) {
    std::string text;
    for (const auto& item : range) {
        text += (text.empty() ? "" : ",") + print(item);
    }
    return "[" + text + "]";
}
std::string ids(std::span<const BrokerId> brokers) {
    return join(brokers, [](BrokerId id) { return std::to_string(id.value); });
}
std::string uuids(std::span<const Uuid> all) {
    return join(all, [](const Uuid& id) { return id.to_string(); });
}
std::string hex(const Secret& secret) {
    std::string text;
    for (const char c : secret.reveal()) {
        text += fmt::format("{:02x}", static_cast<unsigned char>(c));
    }
    return text;
}

void print_cluster(const Image& image) {
    for (const auto& [id, broker] : image.cluster.brokers) {
        fmt::print(
            "broker {} epoch={} incarnation={} fenced={} leaving={} rack={} dirs={} "
            "cordoned={} features={}\n",
            id.value, broker->epoch.value, broker->incarnation.to_string(), broker->fenced,
            broker->in_controlled_shutdown, broker->rack.value_or("-"), uuids(broker->directories),
            broker->cordoned_directories ? uuids(*broker->cordoned_directories) : "-",
            join(broker->features, [](const auto& feature) {
                return fmt::format("{}:{}-{}", feature.first, feature.second.min,
                                   feature.second.max);
            }));
        for (const Endpoint& endpoint : broker->endpoints) {
            fmt::print("endpoint {} {} {}:{} {}\n", id.value, endpoint.listener, endpoint.host,
                       endpoint.port, endpoint.security_protocol);
        }
    }
    for (const auto& [id, controller] : image.cluster.controllers) {
        fmt::print("controller {} incarnation={}\n", id.value, controller->incarnation.to_string());
    }
}

void print_topics(const Image& image) {
    for (const auto& [name, id] : image.topics.by_name()) {
        fmt::print("topic {} {}\n", name, id.to_string());
        for (const auto& [index, p] : image.topics.find(id)->partitions) {
            fmt::print(
                "partition {} {} replicas={} isr={} removing={} adding={} elr={} last={} "
                "dirs={} leader={} leader-epoch={} epoch={} recovery={}\n",
                name, index.value, ids(p->replicas), ids(p->isr), ids(p->removing), ids(p->adding),
                ids(p->elr), ids(p->last_known_elr), uuids(p->directories), p->leader.value,
                p->leader_epoch.value, p->epoch.value, static_cast<int>(p->recovery));
        }
    }
}

void print_settings(const Image& image) {
    for (const auto& [name, level] : image.features) {
        fmt::print("feature {} {}\n", name, level);
    }
    for (const auto& [resource, map] : image.configs.by_resource()) {
        for (const auto& [key, value] : map->values) {
            fmt::print("config {} {} {}={}\n", static_cast<int>(resource.type), resource.name, key,
                       value);
        }
    }
    for (const auto& [entity, values] : image.quotas) {
        for (const auto& [key, value] : values) {
            fmt::print("quota {} {}={:.3f}\n",
                       join(entity,
                            [](const auto& part) {
                                return part.first + ":" + part.second.value_or("<default>");
                            }),
                       key, value);
        }
    }
    for (const auto& [key, credential] : image.scram) {
        fmt::print("scram {} {} {} {} {} {}\n", static_cast<int>(key.mechanism), key.user,
                   credential.iterations, hex(credential.salt), hex(credential.stored_key),
                   hex(credential.server_key));
    }
    for (const auto& [id, acl] : image.acls) {
        fmt::print("acl {} {} {} {} {} {} {} {}\n", id.to_string(), acl.resource_type,
                   acl.resource_name, acl.pattern_type, acl.principal, acl.host, acl.operation,
                   acl.permission_type);
    }
    if (image.next_producer_id) {
        fmt::print("producer-ids {}\n", *image.next_producer_id);
    }
}

int print(const Image& image) {
    print_settings(image);
    print_cluster(image);
    print_topics(image);
    return 0;
}

int fail(const Error& error) {
    fmt::print(stderr, "{}\n", error.to_string());
    return 1;
}

Result<Buffer> read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) {
        return Error::make(Code::not_found, "{}", path);
    }
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    const ByteView bytes = as_bytes(text);
    return Buffer(bytes.begin(), bytes.end());
}

Result<void> replay_file(Delta& delta, const std::string& path) {
    MR_TRY(const Buffer file, read_file(path));
    record::Decompressor decompressor;
    ByteView rest(file);
    while (!rest.empty()) {
        MR_TRY(const record::BatchView batch, record::BatchView::parse(rest));
        MR_TRY_VOID(batch.check());
        rest = rest.subspan(batch.size());
        if ((batch.attributes() & record::BatchHeader::control_bit) != 0) {
            continue;
        }
        record::RecordReader reader(batch, decompressor);
        record::RecordView record;
        while (reader.next(record)) {
            MR_TRY_VOID(delta.replay(*record.value, record::offset_of(batch, record)));
        }
        MR_TRY_VOID(reader.status());
    }
    return {};
}

int read(int count, char** files) {
    Delta delta{Image{}};
    for (int i = 0; i < count; ++i) {
        if (const auto done = replay_file(delta, files[i]); !done) {
            return fail(done.error());
        }
    }
    return print(delta.after());
}

template <typename Message>
Buffer encoded(const Message& message) {
    Buffer bytes;
    protocol::Writer out(bytes);
    message.encode(out, 0);
    return bytes;
}

/// Batches one behind the other, with the offsets that a log gives them.
class BatchFile {
public:
    explicit BatchFile(const std::string& path) : out_(path, std::ios::binary) {}

    void add(const RecordList& records) { put(metadata_batch(records, {written_at})); }
    void add_control(record::ControlType type, const Buffer& value) {
        put(record::control_batch({}, type, value, written_at));
    }
    std::int64_t end() const { return end_; }

private:
    void put(Buffer batch) {
        store_big_endian(batch.data() + record::BatchHeader::base_offset, end_);
        store_big_endian(batch.data() + record::BatchHeader::partition_leader_epoch,
                         std::int32_t{1});
        end_ += record::BatchView::parse(batch)->record_count();
        out_.write(reinterpret_cast<const char*>(batch.data()),
                   static_cast<std::streamsize>(batch.size()));
    }
    std::ofstream out_;
    std::int64_t end_ = 0;
};

int write(std::uint64_t seed, std::int16_t level, const std::string& directory) {
    ::testing::InitGoogleTest();
    testing::History history(seed, {{std::string(feature::metadata_version), level}});
    for (int step = 0; step < 200; ++step) {
        history.step();
    }
    const RecordList& all = history.world.all;
    std::filesystem::create_directories(directory);
    BatchFile log(directory + "/00000000000000000000.log");
    SeededRandom random(seed);
    for (std::size_t at = 0; at < all.size();) {
        RecordList batch;
        for (std::uint64_t left = 1 + random.below(20); left > 0 && at < all.size(); --left) {
            batch.add_encoded(all[at++]);
        }
        log.add(batch);
    }
    BatchFile snapshot(fmt::format("{}/{:020}-{:010}.checkpoint", directory, log.end(), 1));
    protocol::SnapshotHeaderRecord header;
    header.last_contained_log_timestamp = written_at;
    snapshot.add_control(record::ControlType::snapshot_header, encoded(header));
    ImageWriter writer(history.world.image);
    for (RecordList slice = writer.next(50); !slice.empty(); slice = writer.next(50)) {
        snapshot.add(slice);
    }
    snapshot.add_control(record::ControlType::snapshot_footer,
                         encoded(protocol::SnapshotFooterRecord{}));
    return print(history.world.image);
}

}  // namespace
}  // namespace millrace::metadata

int main(int argc, char** argv) {
    const std::string command = argc > 1 ? argv[1] : "";
    if (command == "write" && argc == 5) {
        return millrace::metadata::write(std::stoull(argv[2]),
                                         static_cast<std::int16_t>(std::stoi(argv[3])), argv[4]);
    }
    if (command == "read" && argc > 2) {
        return millrace::metadata::read(argc - 2, argv + 2);
    }
    fmt::print(stderr, "usage: metadata_records write SEED LEVEL DIR | read FILE...\n");
    return 2;
}
