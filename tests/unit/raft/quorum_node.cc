#include "tests/unit/raft/quorum_node.h"

#include "protocol/api_table.h"
#include "protocol/headers.h"
#include "protocol/messages/api_versions_response.h"
#include "protocol/messages/describe_cluster_response.h"
#include "protocol/reader.h"
#include "protocol/writer.h"
#include "raft/storage_log.h"
#include "record/batch_builder.h"
#include "record/record_view.h"

namespace millrace::raft::test {

namespace {

using protocol::ApiKey;

Buffer batch_of(const std::vector<std::string>& words, Timestamp time) {
    record::BatchBuilder builder({});
    for (const std::string& word : words) {
        builder.append({.timestamp = time.milliseconds, .value = as_bytes(word)});
    }
    return builder.finish();
}

Result<std::vector<std::string>> words_of(ByteView bytes) {
    std::vector<std::string> words;
    MR_TRY(const auto batch, record::BatchView::parse(bytes));
    record::RecordReader reader{batch};
    for (record::RecordView record; reader.next(record);) {
        words.emplace_back(as_text(*record.value));
    }
    MR_TRY_VOID(reader.status());
    return words;
}

Buffer api_versions(std::int16_t version) {
    protocol::ApiVersionsResponse answer;
    for (const protocol::Api& api : protocol::all_apis()) {
        const bool is_served = RaftDriver::is_raft_api(static_cast<std::int16_t>(api.key)) ||
                               api.key == ApiKey::api_versions ||
                               api.key == ApiKey::describe_cluster;
        if (is_served) {
            answer.api_keys.push_back({.api_key = static_cast<std::int16_t>(api.key),
                                       .min_version = api.min_version,
                                       .max_version = api.max_version});
        }
    }
    answer.supported_features.push_back(
        {.name = "kraft.version", .min_version = 0, .max_version = 1});
    Buffer body;
    protocol::Writer writer(body);
    answer.encode(writer, version);
    return body;
}

/// What Kafka's admin client asks a controller before anything else: who leads, and where.
Buffer describe_cluster(const std::string& cluster_id, const Leadership& leadership,
                        const VoterSet& voters, std::int16_t version) {
    protocol::DescribeClusterResponse answer{.error_message = std::nullopt,
                                             .endpoint_type = 2,
                                             .cluster_id = cluster_id,
                                             .controller_id = leadership.leader.value};
    for (const Voter& voter : voters.voters()) {
        const Endpoint& endpoint = voter.listeners.at(0).endpoint;
        answer.brokers.push_back(
            {.broker_id = voter.key.id.value, .host = endpoint.host, .port = endpoint.port});
    }
    Buffer body;
    protocol::Writer writer(body);
    answer.encode(writer, version);
    return body;
}

}  // namespace

QuorumNode::QuorumNode(runtime::Node& machine, QuorumNodeOptions options, Ledger& ledger)
    : machine_(machine), options_(std::move(options)), ledger_(ledger) {
    if (const auto opened = open(); !opened) {
        refused_ = opened.error();
        return;
    }
    machine_.control_shard().executor->post([this] { begin(); });
}

QuorumNode::~QuorumNode() {
    writer_.reset();
    driver_.reset();
}

Result<void> QuorumNode::read_directory_id() {
    runtime::Disk& disk = machine_.disk();
    const std::string path = options_.root + "/" + options_.directory_file;
    MR_TRY_VOID(disk.create_directories(options_.root));
    MR_TRY(const bool exists, disk.exists(path));
    if (exists) {
        MR_TRY(const std::string text, disk.read_whole(path, 100));
        const auto id = Uuid::parse(text);
        if (!id) {
            return Error::make(Code::corrupt, "{}: '{}'", path, text);
        }
        directory_id_ = *id;
        return {};
    }
    directory_id_ = Uuid::random(*machine_.control_shard().random);
    MR_TRY_VOID(disk.replace_whole(path, directory_id_.to_string()));
    // The root itself has a name, which a power cut would take.
    const std::string parent = options_.root.substr(0, options_.root.rfind('/'));
    return disk.sync_directory(parent.empty() ? "/" : parent);
}

Result<void> QuorumNode::open() {
    MR_TRY_VOID(read_directory_id());
    options_.quorum.directory_id = directory_id_;
    auto directory = std::make_shared<storage::LogDirectory>(
        machine_.disk(), options_.root, directory_id_, machine_.log(), std::size_t{64});
    MR_TRY(auto log, open_storage_log(directory, machine_, options_.segment_bytes));
    channel_ = make_net_channel({.client_id = fmt::format("raft-{}", options_.quorum.node_id)},
                                machine_.control_shard(), machine_.log());
    MR_TRY(driver_, RaftDriver::open({options_.quorum, options_.root + "/" + metadata_folder},
                                     machine_, std::move(log), *channel_));
    return {};
}

void QuorumNode::begin() {
    auto server = net::Server::start({.listener = "CONTROLLER", .address = {"", options_.port}},
                                     {machine_.control_shard()}, *this, memory_, machine_.log());
    if (!server) {
        refused_ = server.error();
        return;
    }
    server_ = *std::move(server);
    driver_->start(*this, [this](Error error) { halted_ = std::move(error); });
}

void QuorumNode::stop(runtime::Task stopped) {
    if (!driver_ || refused_) {
        stopped();
        return;
    }
    driver_->shutdown(std::chrono::milliseconds(500), std::move(stopped));
}

bool QuorumNode::say(const std::string& word) {
    if (!is_leader() || halted_) {
        return false;
    }
    const Timestamp now = machine_.control_shard().executor->clock().wall();
    // The promise is made once the batch is known to be committed; see on_commit.
    return append(batch_of({word}, now));
}

bool QuorumNode::append(Buffer batch) {
    return driver_->append(leadership_.epoch, std::move(batch), nullptr).has_value();
}

void QuorumNode::ask(std::int16_t api_key, std::int16_t version, Buffer body,
                     std::function<void(Result<Buffer>)> answer) {
    driver_->handle(api_key, version, ByteView(body), std::move(answer));
}

Result<void> QuorumNode::on_commit(std::span<const CommittedBatch> batches) {
    for (const CommittedBatch& batch : batches) {
        if (batch.base != applied_) {
            ledger_.contradictions.push_back(
                fmt::format("{}: got {} after {}", options_.quorum.node_id, batch.base, applied_));
        }
        applied_ = batch.end;
        applied_time_ = batch.append_time;
        std::string content = fmt::format("epoch {}", batch.epoch);
        if (!batch.is_control) {
            MR_TRY(const auto words, words_of(batch.bytes));
            for (const std::string& word : words) {
                if (!refused_word_.empty() && word == refused_word_) {
                    return Error::make(Code::invalid, "'{}' can't be applied", word);
                }
                content += " " + word;
                words_.push_back(word);
                ++words_since_snapshot_;
            }
        }
        const auto [known, is_new] = ledger_.committed.emplace(batch.base, content);
        if (known->second != content) {
            ledger_.contradictions.push_back(fmt::format("{}: at {} '{}' and '{}'",
                                                         options_.quorum.node_id, batch.base,
                                                         known->second, content));
        }
        if (leadership_.is_self && !batch.is_control) {
            ledger_.acked.emplace(words_.back(), batch.base);
        }
    }
    take_snapshot();
    return {};
}

void QuorumNode::take_snapshot() {
    if (options_.snapshot_every == 0 || words_since_snapshot_ < options_.snapshot_every ||
        writer_ != nullptr) {
        return;
    }
    auto writer = driver_->create_snapshot(applied_, applied_time_);
    if (!writer) {
        return;
    }
    words_since_snapshot_ = 0;
    writer_ = *std::move(writer);
    for (std::size_t at = 0; at < words_.size(); at += 50) {
        const auto begin = words_.begin() + static_cast<std::ptrdiff_t>(at);
        const auto end =
            words_.begin() + static_cast<std::ptrdiff_t>(std::min(at + 50, words_.size()));
        if (!writer_->append(batch_of({begin, end}, applied_time_))) {
            writer_.reset();
            return;
        }
    }
    writer_->finish([this](Result<void> outcome) {
        writer_.reset();
        snapshots_taken_ += outcome.has_value() ? 1 : 0;
    });
}

Result<void> QuorumNode::on_snapshot(SnapshotReader& snapshot) {
    words_.clear();
    while (true) {
        MR_TRY(const auto batch, snapshot.next());
        if (!batch) {
            break;
        }
        MR_TRY(const auto words, words_of(*batch));
        words_.insert(words_.end(), words.begin(), words.end());
    }
    applied_ = snapshot.id().end;
    applied_time_ = snapshot.last_contained_log_time();
    ++snapshots_loaded_;
    return {};
}

void QuorumNode::on_leader_change(const Leadership& leadership) {
    leadership_ = leadership;
}

void QuorumNode::on_frame(const net::ConnectionInfo&, std::unique_ptr<net::Session>&,
                          net::Frame frame, net::Reply reply) {
    protocol::Reader reader(frame.bytes());
    protocol::RequestHeader header;
    protocol::decode_request_header(reader, header);
    if (!reader.ok()) {
        return;  // Dropping the reply closes the connection.
    }
    const std::int16_t key = header.request_api_key;
    const std::int16_t version = header.request_api_version;
    const std::int32_t correlation = header.correlation_id;
    auto send = [key, version, correlation](net::Reply to, const Buffer& body) {
        net::Response response;
        protocol::Writer writer(response.bytes);
        protocol::ResponseHeader{.correlation_id = correlation}.encode(
            writer, protocol::response_header_version(key, version));
        writer.raw(body);
        to.send(std::move(response));
    };
    if (static_cast<ApiKey>(key) == ApiKey::api_versions) {
        send(std::move(reply), api_versions(std::min<std::int16_t>(version, 4)));
        return;
    }
    if (static_cast<ApiKey>(key) == ApiKey::describe_cluster) {
        send(std::move(reply),
             describe_cluster(options_.quorum.cluster_id, leadership_, driver_->voters(), version));
        return;
    }
    const ByteView body = frame.bytes().subspan(reader.position());
    driver_->handle(key, version, body,
                    [send, reply = std::move(reply)](Result<Buffer> answer) mutable {
                        if (answer) {
                            send(std::move(reply), *answer);
                        }
                    });
}

}  // namespace millrace::raft::test
