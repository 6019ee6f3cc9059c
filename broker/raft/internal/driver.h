// raft/internal/driver.h
//
// The inside of RaftDriver; its functions lie in one file per concern:
//   driver.cc            opening, starting, stopping, the core's effects
//   driver_messages.cc   requests from peers and to them
//   driver_delivery.cc   what the state machine above hears
//   driver_snapshots.cc  snapshots written here and downloaded
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "raft/internal/snapshot_file.h"
#include "raft/internal/wire.h"
#include "raft/raft_core.h"
#include "raft/raft_driver.h"

namespace millrace::raft {

/// What open() found on disk.
struct Recovered {
    RecoveredState state;
    std::map<SnapshotId, SnapshotSummary> snapshots;
};

/// Lies beside a log that may not be gone on with, and says why.
inline constexpr const char* halted_name = "halted";
std::string halted_remedy(const std::string& directory);

/// Reads quorum-state, snapshots and the log's control records; cleans up what a crash left.
Result<Recovered> recover(runtime::Disk& disk, const std::string& directory, ReplicatedLog& log,
                          const Logger& logger);

class Driver final : public RaftDriver {
public:
    Driver(DriverOptions options, runtime::Node& node, std::unique_ptr<ReplicatedLog> log,
           Channel& channel, Recovered recovered);
    ~Driver() override;

    void start(StateListener& listener, UniqueFunction<void(Error)> on_halt) override;
    Result<Appended> append(QuorumEpoch epoch, Buffer batch,
                            UniqueFunction<void(Result<void>)> committed) override;
    void handle(std::int16_t api_key, std::int16_t version, const protocol::RequestBody& body,
                UniqueFunction<void(Result<Buffer>)> reply) override;
    Result<std::unique_ptr<SnapshotWriter>> create_snapshot(
        Offset end, Timestamp last_contained_log_time) override;
    void resign(QuorumEpoch epoch) override;
    void shutdown(Duration grace, UniqueFunction<void()> done) override;

    Leadership leadership() const override;
    std::optional<Endpoint> leader_endpoint() const override;
    std::string why_no_leader() const override;
    std::optional<Offset> high_watermark() const override;
    Offset log_start() const override;
    Offset log_end() const override;
    const VoterSet& voters() const override;
    std::int16_t kraft_version() const override;
    std::optional<SnapshotId> latest_snapshot() const override;

private:
    friend class FileSnapshotWriter;

    struct PendingRequest {
        std::int16_t api_key = 0;
        std::int16_t version = 0;
        UniqueFunction<void(Result<Buffer>)> reply;
    };
    struct Download {
        SnapshotId id;
        std::string path;
        runtime::FilePtr file;
    };

    // driver.cc
    void step(Event event);
    void tell_of_another_directory() const;
    void tell_of_other_addresses() const;
    void tell_that_it_is_not_listed() const;
    void perform(Effect& effect);
    void arm_timer();
    void persist();
    void sync();
    /// What was to be written is still wanted: nothing depends on it until it is.
    void again_after_shortage(const Error& shortage);
    void must(const Result<void>& outcome, std::string_view doing);
    void halt(Error error);
    void halt_for_good(Error error);
    void stop(Error reason);
    void say_farewell();
    void finish_shutdown();
    void close_log();
    std::string path_of(const SnapshotId& id) const;
    Timestamp wall() const { return executor_.clock().wall(); }
    /// Runs `task` on the loop unless the driver is gone by then.
    template <typename Task>
    auto guarded(Task task) const {
        return
            [alive = std::weak_ptr<bool>(alive_), task = std::move(task)](auto&&... args) mutable {
                if (!alive.expired()) {
                    task(std::forward<decltype(args)>(args)...);
                }
            };
    }
    /// `job` in the disk pool, then `done` here with what it returned.
    template <typename T>
    void in_pool(UniqueFunction<Result<T>()> job, UniqueFunction<void(Result<T>)> done);

    // driver_messages.cc
    void send(const Send& effect);
    void note_reached(const Endpoint& peer, std::string why_not);
    void answer(Reply& effect);
    Result<void> attach_records(FetchResponse& response);
    void attach_snapshot_bytes(FetchSnapshotResponse& response);

    // driver_delivery.cc
    void schedule_delivery();
    void deliver();
    Result<void> deliver_snapshot();
    Result<void> deliver_batches();
    void complete_appends();
    void fail_appends_from(Offset end);
    void announce();

    // driver_snapshots.cc
    void begin_download(const SnapshotId& id);
    void write_chunk(const SnapshotChunk& chunk);
    void complete_download(const SnapshotId& id);
    void forget_before(const SnapshotId& id);
    void note_snapshot(const SnapshotId& id, SnapshotSummary summary);

    const DriverOptions options_;
    runtime::Executor& executor_;
    runtime::Disk& disk_;
    runtime::DiskPool& pool_;
    Random& random_;
    const Logger log_out_;
    Channel& channel_;
    std::unique_ptr<ReplicatedLog> log_;
    std::optional<Recovered> recovered_;  ///< Until start().
    std::unique_ptr<RaftCore> core_;
    StateListener* listener_ = nullptr;
    UniqueFunction<void(Error)> on_halt_;
    bool stopped_ = false;
    bool stepping_ = false;
    std::deque<Event> queued_;  ///< What happened while the core's effects were carried out.
    runtime::TimerId timer_;
    Instant timer_at_ = Instant::never();

    std::optional<PersistElection> to_persist_;
    bool persisting_ = false;
    std::optional<SyncLog> to_sync_;
    bool syncing_ = false;

    std::map<std::uint64_t, PendingRequest> requests_;
    std::uint64_t last_request_ = 0;
    std::map<std::string, std::string> unreached_;  ///< Peers, and what was said of each.
    std::size_t farewells_ = 0;                     ///< EndQuorumEpoch under way.
    UniqueFunction<void()> on_shutdown_;
    bool leaves_when_heard_ = false;
    Duration grace_{0};  ///< Of that shutdown.
    bool closing_ = false;

    std::optional<AppendProposed> appended_;                        ///< By the step under way.
    std::map<Offset, UniqueFunction<void(Result<void>)>> appends_;  ///< By end, not committed yet.
    Offset delivered_{0};
    bool needs_snapshot_ = false;
    bool delivery_scheduled_ = false;
    LeaderChanged leader_;
    std::optional<Leadership> announced_;

    std::map<SnapshotId, SnapshotSummary> snapshots_;
    std::optional<Download> download_;
    std::uint64_t last_download_ = 0;
    std::optional<std::pair<SnapshotId, runtime::FilePtr>> served_;  ///< The last one asked for.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

template <typename T>
void Driver::in_pool(UniqueFunction<Result<T>()> job, UniqueFunction<void(Result<T>)> done) {
    auto outcome = std::make_shared<std::optional<Result<T>>>();
    pool_.run(
        0, executor_, [job = std::move(job), outcome]() mutable { outcome->emplace(job()); },
        guarded([done = std::move(done), outcome]() mutable { done(*std::move(*outcome)); }));
}

}  // namespace millrace::raft
