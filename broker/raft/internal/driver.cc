#include "raft/internal/driver.h"

#include <algorithm>

#include "base/overloaded.h"
#include "raft/internal/control_batch.h"
#include "raft/internal/quorum_state_file.h"
#include "record/batch_view.h"
#include "runtime/shortage.h"

namespace millrace::raft {

namespace {

constexpr const char* quorum_state_name = "quorum-state";
constexpr Duration last_words = std::chrono::milliseconds(50);  ///< For who is slow to hear them.

CoreConfig core_config(const QuorumConfig& quorum) {
    return {.self = {quorum.node_id, quorum.directory_id},
            .can_vote = quorum.is_controller,
            .cluster_id = quorum.cluster_id,
            .listeners = quorum.listeners,
            .static_voters = quorum.voters,
            .bootstrap_servers = quorum.bootstrap_servers,
            .auto_join = quorum.auto_join,
            .election_timeout = quorum.election_timeout,
            .election_backoff_max = quorum.election_backoff_max,
            .fetch_timeout = quorum.fetch_timeout,
            .request_timeout = quorum.request_timeout,
            .retry_backoff = quorum.retry_backoff};
}

}  // namespace

Result<std::unique_ptr<RaftDriver>> RaftDriver::open(DriverOptions options, runtime::Node& node,
                                                     std::unique_ptr<ReplicatedLog> log,
                                                     Channel& channel) {
    MR_TRY(auto recovered, recover(node.disk(), options.directory, *log, node.log()));
    return std::unique_ptr<RaftDriver>(std::make_unique<Driver>(
        std::move(options), node, std::move(log), channel, std::move(recovered)));
}

Driver::Driver(DriverOptions options, runtime::Node& node, std::unique_ptr<ReplicatedLog> log,
               Channel& channel, Recovered recovered)
    : options_(std::move(options)),
      executor_(*node.control_shard().executor),
      disk_(node.disk()),
      pool_(node.disk_pool()),
      random_(*node.control_shard().random),
      log_out_(node.log()),
      channel_(channel),
      log_(std::move(log)),
      recovered_(std::move(recovered)) {}

Driver::~Driver() {
    channel_.on_disconnect(nullptr);
    executor_.cancel(timer_);
}

void Driver::start(StateListener& listener, UniqueFunction<void(Error)> on_halt) {
    MR_ASSERT(recovered_.has_value());
    listener_ = &listener;
    on_halt_ = std::move(on_halt);
    snapshots_ = std::move(recovered_->snapshots);
    needs_snapshot_ = recovered_->state.snapshot.has_value();
    leader_.leader = no_broker;
    core_ = std::make_unique<RaftCore>(core_config(options_.quorum), std::move(recovered_->state),
                                       random_, executor_.clock().now());
    recovered_.reset();
    tell_of_another_directory();
    tell_of_other_addresses();
    tell_that_it_is_not_listed();
    channel_.on_disconnect(guarded([this](BrokerId node) { step(ConnectionLost{node}); }));
    schedule_delivery();
    step(Tick{});
}

/// With another directory than the voter of its id has, this node has no vote, and alone no leader.
void Driver::tell_of_another_directory() const {
    const ReplicaKey self{options_.quorum.node_id, options_.quorum.directory_id};
    for (const Voter& voter : core_->voters().voters()) {
        if (!options_.quorum.is_controller || voter.key.id != self.id || voter.key.matches(self)) {
            continue;
        }
        MR_LOG(log_out_, warn, "raft.voter_of_another_directory",
               field("directory", options_.directory), field("self", self.to_string()),
               field("voter", voter.key.to_string()),
               field("remedy",
                     fmt::format("if this is that voter's log, stop, write directory.id={} into "
                                 "the meta.properties above it and start again; if the disk was "
                                 "replaced, remove that voter and add this one with "
                                 "kafka-metadata-quorum",
                                 voter.key.directory.to_string())));
    }
}

/// Who changes addresses in the configuration is to see that they were read.
void Driver::tell_of_other_addresses() const {
    for (const Voter& listed : options_.quorum.voters) {
        const Voter* recorded = core_->voters().find(listed.key.id);
        if (recorded == nullptr || recorded->listeners.empty() || listed.listeners.empty() ||
            recorded->listeners.front().endpoint == listed.listeners.front().endpoint) {
            continue;
        }
        MR_LOG(log_out_, info, "raft.address_differs", field("voter", listed.key.id),
               field("recorded", recorded->listeners.front().endpoint.to_string()),
               field("configured", listed.listeners.front().endpoint.to_string()),
               field("detail",
                     "the recorded address is tried first, then the one of "
                     "controller.quorum.voters; the record follows once that voter is back"));
    }
}

/// A new controller that finds itself in the list forms a quorum with the others of it.
void Driver::tell_that_it_is_not_listed() const {
    const QuorumConfig& quorum = options_.quorum;
    const auto is_us = [&](const Endpoint& server) {
        return is_reached_at(quorum.listeners, server);
    };
    const auto& servers = quorum.bootstrap_servers;
    const bool is_new = core_->log_end() == Offset{0} && core_->voters().empty();
    if (quorum.is_controller && is_new && quorum.voters.empty() && !servers.empty() &&
        !quorum.listeners.empty() && std::none_of(servers.begin(), servers.end(), is_us)) {
        MR_LOG(log_out_, info, "raft.not_listed",
               field("self", quorum.listeners.front().endpoint.to_string()),
               field("detail",
                     "not in controller.quorum.bootstrap.servers: it joins the quorum that "
                     "those form, and forms none; advertised.listeners says how this "
                     "node calls itself"));
    }
}

// ---- The core -----------------------------------------------------------------------------------

void Driver::step(Event event) {
    if (stopped_ || !core_) {
        return;
    }
    queued_.push_back(std::move(event));
    if (stepping_) {
        return;
    }
    stepping_ = true;
    while (!queued_.empty() && !stopped_) {
        Event next = std::move(queued_.front());
        queued_.pop_front();
        Effects effects = core_->step(executor_.clock().now(), std::move(next));
        for (Effect& effect : effects) {
            if (!stopped_) {
                perform(effect);
            }
        }
    }
    stepping_ = false;
    arm_timer();
    if (leaves_when_heard_ && (stopped_ || core_->all_have_heard())) {
        say_farewell();
    }
}

void Driver::perform(Effect& effect) {
    std::visit(
        Overloaded{
            [this](const Send& e) { send(e); },
            [this](Reply& e) { answer(e); },
            [this](const PersistElection& e) {
                to_persist_ = e;
                persist();
            },
            [this](AppendProposed& e) {
                Buffer bytes = *e.batch;
                record::patch_base_offset(bytes, e.base);
                record::patch_leader_epoch(bytes, LeaderEpoch{e.epoch.value});
                must(log_->append(bytes), "appending");
                appended_ = std::move(e);
            },
            [](const ProposalRefused&) {},  // append() sees that nothing was appended.
            [this](const AppendControl& e) {
                must(log_->append(build_control_batch(e.records, e.base, e.epoch, wall())),
                     "appending");
            },
            [this](const AppendFetched& e) { must(log_->append(*e.fetched.bytes), "appending"); },
            [this](const TruncateLog& e) {
                MR_LOG(log_out_, info, "raft.truncated", field("from", log_->end()),
                       field("to", e.end));
                must(log_->truncate(e.end), "truncating");
            },
            [this](const SyncLog& e) {
                to_sync_ = e;
                sync();
            },
            [this](const HighWatermarkAdvanced&) { schedule_delivery(); },
            [this](const LeaderChanged& e) {
                leader_ = e;
                if (e.leader != options_.quorum.node_id) {
                    fail_appends_from(core_->high_watermark().value_or(Offset{0}));
                }
                MR_LOG(log_out_, info, "raft.leader_changed", field("epoch", e.epoch),
                       field("leader", e.leader), field("voters", core_->voters().to_string()));
                schedule_delivery();
            },
            [this](const SnapshotStarted& e) { begin_download(e.id); },
            [this](const SnapshotChunk& e) { write_chunk(e); },
            [this](const SnapshotComplete& e) { complete_download(e.id); },
            [this](const InstallSnapshot& e) {
                MR_LOG(log_out_, info, "raft.snapshot_installed", field("id", e.id.to_string()));
                must(log_->restart_at(e.id), "restarting the log at a snapshot");
                needs_snapshot_ = true;
                schedule_delivery();
            },
            [this](const ForgetBefore& e) { forget_before(e.snapshot); },
            [this](const Notice& e) {
                if (e.alarm) {
                    MR_LOG(log_out_, error, e.event, field("detail", e.detail));
                } else {
                    MR_LOG(log_out_, info, e.event, field("detail", e.detail));
                }
            },
            [this](const Halt& e) {
                if (e.for_good) {
                    halt_for_good(Error(Code::internal, e.reason));
                } else {
                    halt(Error(Code::internal, e.reason));
                }
            },
        },
        effect);
}

void Driver::arm_timer() {
    if (stopped_) {
        return;
    }
    const Instant at = core_->deadline();
    if (at == timer_at_) {
        return;
    }
    executor_.cancel(timer_);
    timer_ = {};
    timer_at_ = at;
    if (at == Instant::never()) {
        return;
    }
    const Duration wait = std::max(Duration{0}, at - executor_.clock().now());
    timer_ = executor_.after(wait, guarded([this] {
                                 timer_at_ = Instant::never();
                                 timer_ = {};
                                 step(Tick{});
                             }));
}

void Driver::persist() {
    if (persisting_ || !to_persist_) {
        return;
    }
    persisting_ = true;
    const PersistElection wanted = *std::exchange(to_persist_, std::nullopt);
    const std::string path = options_.directory + "/" + quorum_state_name;
    in_pool<void>(
        [&disk = disk_, path, text = print_quorum_state(wanted.state)] {
            return disk.replace_whole(path, text);
        },
        [this, wanted](Result<void> outcome) {
            persisting_ = false;
            if (!outcome && runtime::is_shortage(outcome.error())) {
                if (!to_persist_) {
                    to_persist_ = wanted;
                }
                again_after_shortage(outcome.error());
                return;
            }
            if (!outcome) {
                halt(outcome.error().with_context("writing quorum-state"));
                return;
            }
            step(ElectionPersisted{wanted.sequence});
            persist();
        });
}

void Driver::sync() {
    if (syncing_ || !to_sync_) {
        return;
    }
    syncing_ = true;
    const SyncLog wanted = *std::exchange(to_sync_, std::nullopt);
    log_->sync(guarded([this, wanted](Result<void> outcome) {
        syncing_ = false;
        if (closing_) {
            close_log();
            return;
        }
        if (!outcome && runtime::is_shortage(outcome.error())) {
            if (!to_sync_) {
                to_sync_ = wanted;
            }
            again_after_shortage(outcome.error());
            return;
        }
        if (!outcome) {
            // What was lost is unknown: never again a word about this log.
            halt(outcome.error().with_context("syncing the metadata log"));
            return;
        }
        step(LogSynced{wanted.end, wanted.generation});
        sync();
    }));
}

void Driver::again_after_shortage(const Error& shortage) {
    MR_LOG(log_out_, warn, "raft.waits_for_room", field("error", shortage.to_string()));
    executor_.after(runtime::shortage_pause, guarded([this] {
                        if (!stopped_) {
                            persist();
                            sync();
                        }
                    }));
}

void Driver::must(const Result<void>& outcome, std::string_view doing) {
    if (!outcome) {
        halt(outcome.error().with_context(doing));
    }
}

// ---- Stopping -----------------------------------------------------------------------------------

void Driver::halt(Error error) {
    if (stopped_) {
        return;
    }
    MR_LOG(log_out_, error, "raft.halted", field("reason", error.to_string()));
    stop(error);
    if (on_halt_) {
        executor_.post(guarded([this, error] { on_halt_(error); }));
    }
}

/// What was committed is known to this process only: the next one would go on and lose it. So the
/// reason stays on disk, and recover() refuses what lies beside it.
void Driver::halt_for_good(Error error) {
    if (stopped_) {
        return;
    }
    MR_LOG(log_out_, error, "raft.halted", field("reason", error.to_string()),
           field("remedy", halted_remedy(options_.directory)));
    stop(error);
    in_pool<void>([&disk = disk_, path = options_.directory + "/" + halted_name,
                   text = error.message() + "\n"] { return disk.replace_whole(path, text); },
                  [this, error](Result<void> outcome) {
                      if (!outcome) {
                          MR_LOG(log_out_, error, "raft.halt_not_noted",
                                 field("error", outcome.error().to_string()));
                      }
                      if (on_halt_) {
                          on_halt_(error);
                      }
                  });
}

void Driver::stop(Error reason) {
    stopped_ = true;
    executor_.cancel(timer_);
    timer_ = {};
    for (auto& [id, request] : std::exchange(requests_, {})) {
        executor_.post([reply = std::move(request.reply), reason]() mutable { reply(reason); });
    }
    for (auto& [end, committed] : std::exchange(appends_, {})) {
        if (committed) {
            executor_.post(
                [committed = std::move(committed), reason]() mutable { committed(reason); });
        }
    }
}

void Driver::shutdown(Duration grace, UniqueFunction<void()> done) {
    on_shutdown_ = std::move(done);
    grace_ = grace;
    if (stopped_ || !core_ || core_->role() != Role::leader || core_->all_have_heard()) {
        say_farewell();
        return;
    }
    // What it decided last may be all that anybody hears for long: where it was the only voter.
    leaves_when_heard_ = true;
    executor_.after(std::min(grace, last_words), guarded([this] {
                        if (leaves_when_heard_) {
                            say_farewell();
                        }
                    }));
}

void Driver::say_farewell() {
    leaves_when_heard_ = false;
    if (!stopped_ && core_ && core_->role() == Role::leader) {
        step(ResignRequested{core_->epoch()});
    }
    if (stopped_ || farewells_ == 0) {
        executor_.post(guarded([this] { finish_shutdown(); }));
        return;
    }
    executor_.after(grace_, guarded([this] { finish_shutdown(); }));
}

void Driver::finish_shutdown() {
    if (!on_shutdown_ || closing_) {
        return;
    }
    if (!stopped_) {
        stop(Error(Code::closed, "the node is stopping"));
    }
    closing_ = true;
    if (!syncing_) {
        close_log();
    }
}

void Driver::close_log() {
    auto done = std::exchange(on_shutdown_, nullptr);
    in_pool<void>([log = log_.get()] { return log->close(); },
                  [this, done = std::move(done)](Result<void> outcome) mutable {
                      if (!outcome) {
                          MR_LOG(log_out_, warn, "raft.log_not_closed",
                                 field("error", outcome.error().to_string()));
                      }
                      done();
                  });
}

void Driver::resign(QuorumEpoch epoch) {
    step(ResignRequested{epoch});
}

// ---- Facts --------------------------------------------------------------------------------------

std::string Driver::path_of(const SnapshotId& id) const {
    return options_.directory + "/" + snapshot_file_name(id);
}

Leadership Driver::leadership() const {
    return announced_.value_or(Leadership{});
}
std::optional<Endpoint> Driver::leader_endpoint() const {
    return core_ ? core_->leader_endpoint() : std::nullopt;
}
std::string Driver::why_no_leader() const {
    std::string why = core_ ? core_->why_no_leader() : std::string();
    if (why.empty() && core_ && core_->leader() == no_broker) {
        for (const auto& [peer, reason] : unreached_) {
            why += why.empty() ? "not reached: " : ", ";
            why += peer;
        }
    }
    return why;
}
std::optional<Offset> Driver::high_watermark() const {
    return core_ ? core_->high_watermark() : std::nullopt;
}
Offset Driver::log_start() const {
    return core_ ? core_->log_start() : recovered_->state.epochs.base().end;
}
Offset Driver::log_end() const {
    return core_ ? core_->log_end() : recovered_->state.log_end;
}
const VoterSet& Driver::voters() const {
    return core_ ? core_->voters() : recovered_->state.voters.latest();
}
std::int16_t Driver::kraft_version() const {
    return core_ ? core_->kraft_version() : recovered_->state.voters.kraft_version();
}
std::optional<SnapshotId> Driver::latest_snapshot() const {
    return core_ ? core_->latest_snapshot() : recovered_->state.snapshot;
}

}  // namespace millrace::raft
