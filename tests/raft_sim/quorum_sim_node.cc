// The shell around one simulated core: it does what the effects say, with delays and faults.
#include <algorithm>
#include <fmt/core.h>

#include "base/overloaded.h"
#include "tests/raft_sim/quorum_sim.h"

namespace millrace::raft::sim {

namespace {

std::uint64_t word_at(const Buffer& bytes, std::size_t index) {
    return load_big_endian<std::uint64_t>(bytes.data() + 8 * index);
}

std::uint64_t next_state(std::uint64_t state, std::uint64_t payload, Offset base,
                         QuorumEpoch epoch) {
    std::uint64_t x = state ^ (payload * 0x9e3779b97f4a7c15ULL) ^
                      (static_cast<std::uint64_t>(base.value) << 20) ^
                      static_cast<std::uint64_t>(epoch.value);
    x ^= x >> 31;
    return x * 0xbf58476d1ce4e5b9ULL;
}

}  // namespace

void QuorumSim::later(std::size_t index, Duration delay, Event event) {
    const std::uint64_t incarnation = nodes_[index].incarnation;
    auto shared = std::make_shared<Event>(std::move(event));
    at(delay, [this, index, incarnation, shared] {
        if (nodes_[index].incarnation == incarnation) {
            deliver(index, std::move(*shared));
        }
    });
}

void QuorumSim::deliver(std::size_t index, Event event) {
    Node& node = nodes_[index];
    if (!node.up || violation_) {
        return;
    }
    note(event.index(), static_cast<std::uint64_t>(node.id.value));
    note(static_cast<std::uint64_t>(now_.nanoseconds), 0);
    Effects effects = node.core->step(now_, std::move(event));
    for (Effect& effect : effects) {
        note(effect.index(), index);
        perform(index, effect);
        if (violation_ || !node.up) {
            return;
        }
    }
    check_leader(index);
    check_voters(index);
    schedule_tick(index);
}

void QuorumSim::schedule_tick(std::size_t index) {
    Node& node = nodes_[index];
    const Instant deadline = std::max(node.core->deadline(), now_ + Duration{1});
    if (deadline == Instant::never() || node.tick_at == deadline) {
        return;
    }
    node.tick_at = deadline;
    const std::uint64_t incarnation = node.incarnation;
    at(deadline - now_, [this, index, incarnation, deadline] {
        if (nodes_[index].incarnation == incarnation && nodes_[index].tick_at == deadline) {
            nodes_[index].tick_at = Instant::never();
            deliver(index, Tick{});
        }
    });
}

void QuorumSim::perform(std::size_t index, Effect& effect) {
    Node& node = nodes_[index];
    std::visit(
        Overloaded{
            [&](const Send& e) { send(index, e); },
            [&](Reply& e) { answer(index, e); },
            [&](const PersistElection& e) {
                const std::uint64_t incarnation = node.incarnation;
                const Duration stall = std::max(Duration{0}, node.stalled_until - now_);
                maybe_crash_soon(index);
                at(stall + draw(options_.mean_sync), [this, index, incarnation, e] {
                    if (nodes_[index].incarnation == incarnation && nodes_[index].up) {
                        Node& stored = nodes_[index];
                        if (stored.stored_election < e.sequence) {
                            stored.stored_election = e.sequence;
                            stored.disk.election = e.state;
                        }
                        deliver(index, ElectionPersisted{e.sequence});
                    }
                });
            },
            [&](const AppendProposed& e) {
                const std::uint64_t payload = word_at(*e.batch, 0);
                append(index, {{e.base, e.end, e.epoch, {}}, payload});
                proposed_[{index, e.end}] = payload;
            },
            [&](const ProposalRefused&) {},
            [&](const AppendControl& e) {
                LogBatch info{e.base, e.base, e.epoch, {}};
                for (const ControlRecord& record : e.records) {
                    info.control.emplace_back(info.end, record);
                    ++info.end;
                }
                append(index, {std::move(info), 0});
            },
            [&](const AppendFetched& e) {
                for (std::size_t i = 0; i < e.fetched.batches.size(); ++i) {
                    append(index, {e.fetched.batches[i], word_at(*e.fetched.bytes, i)});
                }
            },
            [&](const TruncateLog& e) { truncate(index, e.end); },
            [&](const SyncLog& e) { sync(index, e); },
            [&](const HighWatermarkAdvanced& e) {
                if (e.to < node.high_watermark) {
                    violation(fmt::format("{}: high watermark goes back from {} to {}", node.id,
                                          node.high_watermark, e.to));
                }
                node.high_watermark = e.to;
                check_commit(index, e.to);
                apply(index);
            },
            [&](const LeaderChanged& e) {
                log(fmt::format("{}: epoch {} is led by {}", node.id, e.epoch, e.leader));
            },
            [&](const SnapshotStarted& e) { node.downloads[e.id].clear(); },
            [&](const SnapshotChunk& e) {
                Buffer& file = node.downloads[e.id];
                if (static_cast<std::int64_t>(file.size()) != e.position) {
                    violation(fmt::format("{}: snapshot chunk at {} of {}", node.id, e.position,
                                          file.size()));
                    return;
                }
                file.insert(file.end(), e.bytes->begin(), e.bytes->end());
            },
            [&](const SnapshotComplete& e) { finish_download(index, e.id); },
            [&](const InstallSnapshot& e) { install(index, e.id); },
            [&](const ForgetBefore& e) {
                Disk& disk = node.disk;
                std::erase_if(disk.snapshots,
                              [&](const auto& entry) { return entry.first.end < e.snapshot.end; });
                std::erase_if(disk.log,
                              [&](const Batch& batch) { return batch.info.end <= e.snapshot.end; });
                if (e.snapshot.end > disk.base.end) {
                    disk.base = e.snapshot;
                }
                if (!disk.log.empty() && disk.log.front().info.base != disk.base.end) {
                    violation(fmt::format("{}: snapshot {} ends inside a batch", node.id,
                                          e.snapshot.to_string()));
                }
            },
            [&](const Notice& e) {
                log(fmt::format("{}: {} {}", node.id, e.event, e.detail));
                if (e.event == "raft.two_leaders" || e.event == "raft.malformed_fetch") {
                    violation(fmt::format("{}: {} {}", node.id, e.event, e.detail));
                }
            },
            [&](const Halt& e) { violation(fmt::format("{} halts: {}", node.id, e.reason)); },
        },
        effect);
}

// ---- Messages -----------------------------------------------------------------------------------

void QuorumSim::send(std::size_t index, const Send& send) {
    Node& node = nodes_[index];
    const auto to = find(send.to);
    const std::uint64_t incarnation = node.incarnation;
    const SendId id = send.id;
    ++stats_.messages;
    if (!to) {
        if (!options_.moves) {
            violation(fmt::format("{} sends to nowhere: {}", node.id, send.to.to_string()));
            return;
        }
        outstanding_[{index, incarnation, id.value}] = nodes_.size();
        at(draw(options_.mean_delay),
           [this, index, incarnation, id] { settle_failed(index, incarnation, id, true); });
        return;
    }
    outstanding_[{index, incarnation, id.value}] = *to;
    Duration patience = std::chrono::seconds(2);
    if (const auto* fetch = std::get_if<FetchRequest>(&send.request)) {
        patience += fetch->max_wait;
    }
    at(patience, [this, index, incarnation, id] { settle_failed(index, incarnation, id, false); });
    if (!nodes_[*to].up) {
        at(draw(options_.mean_delay),
           [this, index, incarnation, id] { settle_failed(index, incarnation, id, true); });
        return;
    }
    const bool is_lost = random_.below(1000) < static_cast<unsigned>(loss_ * 1000);
    if (is_lost || blocked_.contains({index, *to})) {
        return;
    }
    const int copies = random_.below(1000) < static_cast<unsigned>(duplicate_ * 1000) ? 2 : 1;
    auto request = std::make_shared<Request>(send.request);
    for (int copy = 0; copy < copies; ++copy) {
        const std::uint64_t target_incarnation = nodes_[*to].incarnation;
        at(draw(options_.mean_delay),
           [this, index, incarnation, id, request, to = *to, target_incarnation] {
               Node& target = nodes_[to];
               if (!target.up || target.incarnation != target_incarnation) {
                   return;
               }
               const RequestId request_id{++last_request_};
               pending_[request_id.value] = {index, incarnation, id};
               if (const auto* vote = std::get_if<VoteRequest>(request.get())) {
                   vote_requests_[request_id.value] = *vote;
               }
               deliver(to, RequestReceived{request_id, *request});
           });
    }
}

void QuorumSim::settle_failed(std::size_t from, std::uint64_t incarnation, SendId id,
                              bool disconnected) {
    if (outstanding_.erase({from, incarnation, id.value}) > 0 &&
        nodes_[from].incarnation == incarnation) {
        deliver(from, SendFailed{id, disconnected});
    }
}

void QuorumSim::answer(std::size_t index, Reply& reply) {
    Node& node = nodes_[index];
    const auto found = pending_.find(reply.id.value);
    if (found == pending_.end()) {
        violation(fmt::format("{} answers twice", node.id));
        return;
    }
    const Pending to = found->second;
    pending_.erase(found);
    if (auto* vote = std::get_if<VoteResponse>(&reply.response)) {
        vote_requests_[0] = vote_requests_[reply.id.value];
        vote_requests_.erase(reply.id.value);
        check_vote(index, *vote, to);
    }
    if (to.is_client) {
        return;
    }
    if (auto* fetch = std::get_if<FetchResponse>(&reply.response);
        fetch != nullptr && fetch->read) {
        auto bytes = std::make_shared<Buffer>();
        const std::uint64_t most = 1 + random_.below(6);
        for (const Batch& batch : node.disk.log) {
            const bool wanted =
                batch.info.end > fetch->read->from && batch.info.base < fetch->read->limit;
            if (wanted && fetch->fetched.batches.size() < most) {
                fetch->fetched.batches.push_back(batch.info);
                bytes->resize(bytes->size() + 8);
                store_big_endian(bytes->data() + bytes->size() - 8, batch.payload);
            }
        }
        fetch->fetched.bytes = std::move(bytes);
        fetch->read.reset();
    }
    if (auto* snapshot = std::get_if<FetchSnapshotResponse>(&reply.response)) {
        serve_snapshot(node, *snapshot);
    }
    const bool is_lost = random_.below(1000) < static_cast<unsigned>(loss_ * 1000);
    if (is_lost || blocked_.contains({index, to.from})) {
        return;
    }
    auto response = std::make_shared<Response>(std::move(reply.response));
    at(draw(options_.mean_delay), [this, to, response] {
        if (outstanding_.erase({to.from, to.incarnation, to.send.value}) > 0 &&
            nodes_[to.from].incarnation == to.incarnation) {
            deliver(to.from, ResponseReceived{to.send, *response});
        }
    });
}

// ---- The log ------------------------------------------------------------------------------------

void QuorumSim::append(std::size_t index, Batch batch) {
    Node& node = nodes_[index];
    if (batch.info.base != node.disk.end()) {
        violation(fmt::format("{} appends at {} to a log that ends at {}", node.id, batch.info.base,
                              node.disk.end()));
        return;
    }
    check_append(index, batch);
    node.disk.removed.clear();
    node.disk.log.push_back(std::move(batch));
}

void QuorumSim::truncate(std::size_t index, Offset end) {
    Node& node = nodes_[index];
    ++stats_.truncations;
    log(fmt::format("{} truncates from {} to {}", node.id, node.disk.end(), end));
    if (end < node.high_watermark) {
        violation(fmt::format("{} truncates to {}, below its high watermark {}", node.id, end,
                              node.high_watermark));
        return;
    }
    std::vector<Batch> removed;
    while (node.disk.end() > end) {
        removed.insert(removed.begin(), node.disk.log.back());
        node.disk.log.pop_back();
    }
    if (node.disk.end() != end) {
        violation(fmt::format("{} truncates inside a batch, to {}", node.id, end));
    }
    node.disk.removed = std::move(removed);
    node.disk.synced = std::min(node.disk.synced, end);
}

void QuorumSim::sync(std::size_t index, const SyncLog& effect) {
    Node& node = nodes_[index];
    const std::uint64_t incarnation = node.incarnation;
    const Duration stall = std::max(Duration{0}, node.stalled_until - now_);
    maybe_crash_soon(index);
    const std::uint64_t truncations = stats_.truncations + stats_.snapshots_installed;
    at(stall + draw(options_.mean_sync), [this, index, incarnation, effect, truncations] {
        Node& synced = nodes_[index];
        if (synced.incarnation != incarnation || !synced.up) {
            return;
        }
        if (truncations == stats_.truncations + stats_.snapshots_installed ||
            synced.disk.end() >= effect.end) {
            synced.disk.synced =
                std::max(synced.disk.synced, std::min(effect.end, synced.disk.end()));
            synced.disk.removed.clear();
        }
        deliver(index, LogSynced{effect.end, effect.generation});
    });
}

/// The worst moment to crash is while something is on its way to the disk.
void QuorumSim::maybe_crash_soon(std::size_t index) {
    if (!options_.crashes || healed_ || !random_.one_in(60)) {
        return;
    }
    const std::uint64_t incarnation = nodes_[index].incarnation;
    at(draw(options_.mean_sync), [this, index, incarnation] {
        if (nodes_[index].incarnation == incarnation && !healed_) {
            crash(index);
            at(draw(std::chrono::milliseconds(50)), [this, index] { start(index); });
        }
    });
}

void QuorumSim::apply(std::size_t index) {
    Node& node = nodes_[index];
    for (const Batch& batch : node.disk.log) {
        if (batch.info.base < node.applied || batch.info.end > node.high_watermark) {
            continue;
        }
        if (batch.info.base != node.applied) {
            violation(
                fmt::format("{} applies {} after {}", node.id, batch.info.base, node.applied));
            return;
        }
        node.state = next_state(node.state, batch.payload, batch.info.base, batch.info.epoch);
        node.applied = batch.info.end;
        const auto [known, is_new] =
            committed_.try_emplace(batch.info.base, std::pair(batch, node.state));
        const Batch& agreed = known->second.first;
        if (agreed.info.end != batch.info.end || agreed.info.epoch != batch.info.epoch ||
            agreed.payload != batch.payload) {
            violation(fmt::format("{}: committed record at {} changed from epoch {} to {}", node.id,
                                  batch.info.base, agreed.info.epoch, batch.info.epoch));
            return;
        }
        if (known->second.second != node.state) {
            violation(
                fmt::format("{}: state at {} differs from the others'", node.id, batch.info.end));
            return;
        }
        if (is_new) {
            committed_end_ = std::max(committed_end_, batch.info.end);
            for (const auto& [offset, record] : batch.info.control) {
                if (const auto* change = std::get_if<VotersChange>(&record)) {
                    committed_voters_ = change->voters;
                }
            }
        }
        if (node.core->role() == Role::leader) {
            if (const auto asked = proposed_.find({index, batch.info.end});
                asked != proposed_.end() && asked->second == batch.payload) {
                acked_.push_back({batch.info.base, batch.payload});
            }
        }
    }
}

// ---- Snapshots ----------------------------------------------------------------------------------

void QuorumSim::take_snapshot(std::size_t index) {
    Node& node = nodes_[index];
    const Offset end = node.applied;
    const auto id = node.core->snapshot_id_at(end);
    if (!id) {
        return;
    }
    const VoterHistory& history = node.core->voter_history();
    Snapshot snapshot{*id, node.state, history.kraft_version_at(end), std::nullopt};
    if (snapshot.kraft_version > 0) {
        snapshot.voters = history.at(end);
    }
    const std::uint64_t incarnation = node.incarnation;
    at(draw(options_.mean_sync) * 3, [this, index, incarnation, snapshot] {
        if (nodes_[index].incarnation == incarnation && nodes_[index].up) {
            nodes_[index].disk.snapshots[snapshot.id] = snapshot;
            deliver(index, SnapshotCreated{snapshot.id});
        }
    });
}

void QuorumSim::serve_snapshot(Node& node, FetchSnapshotResponse& response) const {
    if (!response.read_max_bytes) {
        return;
    }
    const auto found = node.disk.snapshots.find(response.snapshot);
    if (found == node.disk.snapshots.end()) {
        response.error = KafkaError::snapshot_not_found;
        return;
    }
    // Who serves it is enough to find its content again; the rest is length.
    Buffer file(40);
    store_big_endian(file.data(), static_cast<std::uint64_t>(node.id.value));
    response.size = static_cast<std::int64_t>(file.size());
    if (response.position >= response.size) {
        response.error = KafkaError::position_out_of_range;
        return;
    }
    const auto from = static_cast<std::size_t>(response.position);
    const std::size_t length =
        std::min(file.size() - from, static_cast<std::size_t>(*response.read_max_bytes));
    const auto begin = file.begin() + static_cast<std::ptrdiff_t>(from);
    response.bytes =
        std::make_shared<const Buffer>(begin, begin + static_cast<std::ptrdiff_t>(length));
}

void QuorumSim::finish_download(std::size_t index, SnapshotId id) {
    Node& node = nodes_[index];
    const std::uint64_t origin = word_at(node.downloads[id], 0);
    const auto& snapshots = nodes_[origin - 1].disk.snapshots;
    const auto found = snapshots.find(id);
    const bool is_damaged = options_.damaged_snapshots && !healed_ && random_.one_in(3);
    if (is_damaged || found == snapshots.end()) {
        later(index, draw(options_.mean_sync), SnapshotDamaged{id});
        return;
    }
    const std::uint64_t incarnation = node.incarnation;
    at(draw(options_.mean_sync) * 2, [this, index, incarnation, snapshot = found->second] {
        if (nodes_[index].incarnation == incarnation && nodes_[index].up) {
            nodes_[index].disk.snapshots[snapshot.id] = snapshot;
            deliver(index, SnapshotReady{snapshot.id, snapshot.kraft_version, snapshot.voters});
        }
    });
}

void QuorumSim::install(std::size_t index, SnapshotId id) {
    Node& node = nodes_[index];
    ++stats_.snapshots_installed;
    log(fmt::format("{} installs snapshot {}", node.id, id.to_string()));
    if (id.end < node.applied) {
        violation(fmt::format("{} goes back from {} to snapshot {}", node.id, node.applied,
                              id.to_string()));
        return;
    }
    const Snapshot& snapshot = node.disk.snapshots.at(id);
    node.disk.log.clear();
    node.disk.removed.clear();
    node.disk.base = id;
    node.disk.synced = id.end;
    node.applied = id.end;
    node.state = snapshot.state;
}

}  // namespace millrace::raft::sim
