// tests/unit/raft/quorum_node.h
//
// A controller cut down to the quorum, for the simulator and for real processes alike: the driver
// over storage's files and net's connections, and above it a state machine that is a list of words.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/server.h"
#include "raft/net_channel.h"
#include "raft/raft_driver.h"
#include "runtime/sim/simulation.h"
#include "storage/log_directory.h"

namespace millrace::raft::test {

struct QuorumNodeOptions {
    QuorumConfig quorum;  ///< Without directory id: it lies on the disk.
    std::string root = "/data";
    std::string directory_file = "directory.id";  ///< Where the directory id is kept.
    std::uint16_t port = 0;
    /// A snapshot after so many words; 0: never.
    std::size_t snapshot_every = 0;
    Bytes segment_bytes = 1_MiB;
};

/// What the nodes of a cluster must agree on, and what the client was promised.
struct Ledger {
    std::map<Offset, std::string> committed;  ///< By the base of its batch.
    std::map<std::string, Offset> acked;
    std::vector<std::string> contradictions;
};

class QuorumNode final : public runtime::sim::Program, StateListener, net::Dispatch {
public:
    QuorumNode(runtime::Node& machine, QuorumNodeOptions options, Ledger& ledger);
    ~QuorumNode() override;
    void stop(runtime::Task stopped) override;

    bool is_leader() const { return leadership_.is_self; }
    const Leadership& leadership() const { return leadership_; }
    const std::vector<std::string>& words() const { return words_; }
    Offset applied() const { return applied_; }
    std::size_t snapshots_taken() const { return snapshots_taken_; }
    std::size_t snapshots_loaded() const { return snapshots_loaded_; }
    const std::optional<Error>& halted() const { return halted_; }
    /// Why it did not open, if it did not.
    const std::optional<Error>& refused() const { return refused_; }
    /// From now on a record with this word can't be applied here.
    void refuse(std::string word) { refused_word_ = std::move(word); }
    RaftDriver* driver() { return driver_.get(); }
    Uuid directory() const { return directory_id_; }

    /// On the control loop: appends a word if this node leads.
    bool say(const std::string& word);
    /// On the control loop: appends a batch of records as they are.
    bool append(Buffer batch);
    /// On the control loop: hands a raft request to the driver, as a tool would.
    void ask(std::int16_t api_key, std::int16_t version, Buffer body,
             std::function<void(Result<Buffer>)> answer);

private:
    Result<void> open();
    Result<void> read_directory_id();
    void begin();

    Result<void> on_commit(std::span<const CommittedBatch> batches) override;
    Result<void> on_snapshot(SnapshotReader& snapshot) override;
    void on_leader_change(const Leadership& leadership) override;
    void on_frame(const net::ConnectionInfo& connection, std::unique_ptr<net::Session>& session,
                  net::Frame frame, net::Reply reply) override;
    void take_snapshot();

    runtime::Node& machine_;
    QuorumNodeOptions options_;
    Ledger& ledger_;
    Uuid directory_id_;
    std::unique_ptr<Channel> channel_;
    std::unique_ptr<RaftDriver> driver_;
    net::Ledger memory_{64 << 20};
    std::unique_ptr<net::Server> server_;
    std::unique_ptr<SnapshotWriter> writer_;
    Leadership leadership_;
    std::vector<std::string> words_;
    Offset applied_{0};
    Timestamp applied_time_;
    std::size_t words_since_snapshot_ = 0;
    std::size_t snapshots_taken_ = 0;
    std::size_t snapshots_loaded_ = 0;
    std::string refused_word_;
    std::optional<Error> halted_;
    std::optional<Error> refused_;
};

}  // namespace millrace::raft::test
