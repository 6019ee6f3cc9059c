#include "tests/raft_sim/quorum_sim.h"

#include <algorithm>
#include <cstdio>
#include <fmt/core.h>

#include "base/overloaded.h"

namespace millrace::raft::sim {

namespace {

constexpr Duration liveness_limit = std::chrono::seconds(90);

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
    std::uint64_t x = a * 0x9e3779b97f4a7c15ULL + b + 0x632be59bd9b4e019ULL;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9ULL;
    return x ^ (x >> 32);
}

Buffer to_buffer(const std::vector<std::uint64_t>& words) {
    Buffer bytes(words.size() * 8);
    for (std::size_t i = 0; i < words.size(); ++i) {
        store_big_endian(bytes.data() + 8 * i, words[i]);
    }
    return bytes;
}

constexpr int places = 3;

/// A node may live at some places of its own, or where another has been.
Endpoint place_of(BrokerId id, int place) {
    return {fmt::format("n{}", id), static_cast<std::uint16_t>(9000 + 100 * place + id.value)};
}

}  // namespace

Options Options::draw(std::uint64_t seed) {
    SeededRandom random(mix(seed, 77));
    Options options;
    const auto maybe = [&](int percent) {
        return random.below(100) < static_cast<unsigned>(percent);
    };
    options.formation = static_cast<Formation>(random.below(4));
    options.controllers = maybe(60) ? 3 : maybe(60) ? 5 : maybe(50) ? 1 : 2;
    options.spares = static_cast<int>(random.below(3));
    options.observers = static_cast<int>(random.below(2));
    options.mean_delay = std::chrono::microseconds(random.between(200, 20'000));
    options.mean_sync = std::chrono::microseconds(random.between(200, 30'000));
    options.loss = maybe(50) ? static_cast<double>(random.below(100)) / 1000 : 0;
    options.duplicate = maybe(50) ? static_cast<double>(random.below(100)) / 1000 : 0;
    options.crashes = maybe(70);
    options.partitions = maybe(60);
    options.stalls = maybe(40);
    options.swaps = maybe(35) && options.formation != Formation::kraft_version_0;
    options.voter_changes = maybe(50);
    options.snapshots = maybe(50);
    options.damaged_snapshots = maybe(30);
    options.resignations = maybe(30);
    options.auto_join = maybe(30);
    // There the lists stay as they were, and name not all of who may vote by then.
    options.moves = maybe(25) && options.formation != Formation::kraft_version_0;
    return options;
}

std::string Options::to_string() const {
    return fmt::format(
        "formation={} controllers={} spares={} observers={} loss={} dup={} crashes={} "
        "partitions={} "
        "stalls={} swaps={} changes={} snapshots={} damaged={} resign={} join={} moves={}",
        static_cast<int>(formation), controllers, spares, observers, loss, duplicate, crashes,
        partitions, stalls, swaps, voter_changes, snapshots, damaged_snapshots, resignations,
        auto_join, moves);
}

void Stats::add(const Stats& other) {
    events += other.events;
    messages += other.messages;
    crashes += other.crashes;
    partitions += other.partitions;
    swaps += other.swaps;
    elections += other.elections;
    committed += other.committed;
    voter_changes += other.voter_changes;
    snapshots_installed += other.snapshots_installed;
    truncations += other.truncations;
    faults += other.faults;
    moves += other.moves;
    simulated += other.simulated;
}

QuorumSim::QuorumSim(std::uint64_t seed, Options options, bool trace)
    : seed_(seed), options_(options), trace_(trace), random_(mix(seed, 1)) {
    loss_ = options_.loss;
    duplicate_ = options_.duplicate;
    const int controllers = options_.controllers + options_.spares;
    for (int i = 1; i <= controllers + options_.observers; ++i) {
        Node node;
        node.id = BrokerId{i};
        node.address = place_of(node.id, 0);
        node.can_vote = i <= controllers;
        node.disk.directory = {++last_directory_, static_cast<std::uint64_t>(i)};
        node.random = std::make_unique<SeededRandom>(mix(seed, 1000 + static_cast<unsigned>(i)));
        nodes_.push_back(std::move(node));
        if (i <= options_.controllers) {
            members_.insert(BrokerId{i});
        }
    }
}

QuorumSim::~QuorumSim() = default;

std::optional<std::string> QuorumSim::run() {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        at(draw(std::chrono::milliseconds(100)), [this, i] { start(i); });
    }
    at(std::chrono::milliseconds(50), [this] { propose(); });
    at(std::chrono::milliseconds(200), [this] { inject_fault(); });
    at(std::chrono::milliseconds(300), [this] { operate_voters(); });
    at(options_.faulty, [this] { heal(); });
    const Instant limit = Instant{0} + options_.faulty + liveness_limit;
    while (!violation_ && !tasks_.empty()) {
        Task task = tasks_.top();
        tasks_.pop();
        now_ = task.at;
        if (now_ > limit) {
            std::string state;
            for (const Node& node : nodes_) {
                state += fmt::format(
                    "\n  {} {} {} epoch {} leader {} log {}..{} synced {} hw {} applied {} voters "
                    "{}",
                    node.id, node.up ? "up" : "down", to_string(node.core->role()),
                    node.core->epoch(), node.core->leader(), node.core->log_start(),
                    node.core->log_end(), node.core->synced_end(), node.high_watermark,
                    node.applied, node.core->voters().to_string());
            }
            violation("the healed cluster does not get going" + state);
            break;
        }
        ++stats_.events;
        task.run();
        if (healed_ && is_settled()) {
            break;
        }
    }
    stats_.simulated = now_ - Instant{0};
    stats_.committed = static_cast<std::uint64_t>(committed_end_.value);
    for (const Acked& acked : acked_) {
        const auto found = committed_.find(acked.at);
        if (!violation_ &&
            (found == committed_.end() || found->second.first.payload != acked.payload)) {
            violation(fmt::format("acknowledged record {} at {} is lost", acked.payload, acked.at));
        }
    }
    return violation_;
}

// ---- The world ----------------------------------------------------------------------------------

void QuorumSim::at(Duration delay, std::function<void()> run) {
    tasks_.push({now_ + delay, ++order_, std::move(run)});
}

Duration QuorumSim::draw(Duration mean) {
    // Roughly exponential, without floating point so that every machine draws the same.
    std::int64_t total = random_.between(0, mean.count());
    while (random_.one_in(3)) {
        total += random_.between(0, 2 * mean.count());
    }
    return Duration{total + 1000};
}

std::vector<Listener> QuorumSim::listeners_of(BrokerId id) const {
    return {{"CONTROLLER", nodes_[static_cast<std::size_t>(id.value - 1)].address}};
}

CoreConfig QuorumSim::config_of(const Node& node) const {
    using Formation = Options::Formation;
    CoreConfig config;
    config.self = {node.id, node.disk.directory};
    config.can_vote = node.can_vote;
    config.cluster_id = "cluster";
    config.auto_join = options_.auto_join && node.can_vote;
    config.snapshot_chunk_bytes = 16;
    if (node.can_vote) {
        config.listeners = listeners_of(node.id);
    }
    // A list that names nobody else can't tell an emptied disk from a new cluster, so whoever grows
    // a cluster completes the list before the next start.
    const bool grows = options_.formation == Formation::standalone_then_grow;
    const bool is_old_kind = options_.formation == Formation::kraft_version_0;
    const int formers = node.incarnation == 1 ? (grows ? 1 : options_.controllers)
                        : is_old_kind         ? options_.controllers
                                              : options_.controllers + options_.spares;
    for (int i = 1; i <= formers; ++i) {
        if (options_.formation == Formation::static_voters ||
            options_.formation == Formation::kraft_version_0) {
            config.static_voters.push_back({{BrokerId{i}, {}}, listeners_of(BrokerId{i}), {}});
        } else {
            config.bootstrap_servers.push_back(nodes_[static_cast<std::size_t>(i - 1)].address);
        }
    }
    return config;
}

RecoveredState QuorumSim::recover(Disk& disk) const {
    RecoveredState state;
    state.election = disk.election;
    VoterHistory history;
    if (!disk.snapshots.empty()) {
        const auto& [id, snapshot] = *disk.snapshots.rbegin();
        const auto last = std::find_if(disk.log.rbegin(), disk.log.rend(), [&](const Batch& batch) {
            return batch.info.base < id.end;
        });
        const QuorumEpoch epoch = last == disk.log.rend() ? disk.base.epoch : last->info.epoch;
        const bool is_prefix = id.end >= disk.base.end && id.end <= disk.end() && epoch == id.epoch;
        if (!is_prefix) {
            disk.log.clear();
            disk.base = id;
        }
        history.reset_to_snapshot(id.end, snapshot.kraft_version, snapshot.voters);
        state.snapshot = id;
    }
    std::vector<EpochHistory::Entry> entries;
    for (const Batch& batch : disk.log) {
        entries.push_back({batch.info.epoch, batch.info.base});
        for (const auto& [offset, record] : batch.info.control) {
            if (state.snapshot && offset < state.snapshot->end) {
                continue;
            }
            if (const auto* version = std::get_if<KraftVersionChange>(&record)) {
                history.add_kraft_version(offset, version->version);
            } else if (const auto* change = std::get_if<VotersChange>(&record)) {
                history.add_voters(offset, change->voters);
            }
        }
    }
    state.epochs = EpochHistory(disk.base, entries);
    state.voters = std::move(history);
    state.log_end = disk.end();
    return state;
}

void QuorumSim::start(std::size_t index) {
    Node& node = nodes_[index];
    if (node.up) {
        return;
    }
    if (options_.formation == Options::Formation::kraft_version_0 && node.can_vote &&
        node.incarnation == 0 && index < static_cast<std::size_t>(options_.controllers)) {
        // A cluster of the older kind: a log without a voter set.
        Batch first{{Offset{0}, Offset{1}, QuorumEpoch{1}, {}}, 1};
        node.disk.log.push_back(first);
        written_[{Offset{0}, QuorumEpoch{1}}] = {1, QuorumEpoch{0}};
        last_payload_ = std::max<std::uint64_t>(last_payload_, 1);
    }
    node.disk.removed.clear();
    node.disk.synced = node.disk.end();
    node.up = true;
    ++node.incarnation;
    node.stalled_until = now_;
    node.stored_election = 0;
    node.downloads.clear();
    RecoveredState recovered = recover(node.disk);
    node.disk.synced = node.disk.end();
    node.applied = Offset{0};
    node.state = 0;
    node.high_watermark = Offset{0};
    if (recovered.snapshot) {
        const Snapshot& snapshot = node.disk.snapshots.at(*recovered.snapshot);
        node.applied = snapshot.id.end;
        node.state = snapshot.state;
        node.high_watermark = snapshot.id.end;
    }
    node.core =
        std::make_unique<RaftCore>(config_of(node), std::move(recovered), *node.random, now_);
    log(fmt::format("{} starts, incarnation {}", node.id, node.incarnation));
    deliver(index, Tick{});
}

void QuorumSim::crash(std::size_t index) {
    Node& node = nodes_[index];
    if (!node.up) {
        return;
    }
    ++stats_.crashes;
    node.up = false;
    Disk& disk = node.disk;
    // Of what was not synced, some front part may have reached the disk.
    while (!disk.log.empty() && disk.log.back().info.end > disk.synced && !random_.one_in(4)) {
        disk.log.pop_back();
    }
    if (!disk.removed.empty() && random_.one_in(2)) {
        disk.log.insert(disk.log.end(), disk.removed.begin(), disk.removed.end());
    }
    disk.removed.clear();
    log(fmt::format("{} crashes, log ends at {}", node.id, disk.end()));
    for (const auto& [key, to] : outstanding_) {
        if (to == index) {
            const auto [from, incarnation, id] = key;
            at(draw(options_.mean_delay), [this, from = from, incarnation = incarnation, id = id] {
                settle_failed(from, incarnation, SendId{id}, true);
            });
        }
    }
    for (std::size_t other = 0; other < nodes_.size(); ++other) {
        if (other != index && !random_.one_in(4)) {
            later(other, draw(options_.mean_delay), ConnectionLost{node.id});
        }
    }
}

std::size_t QuorumSim::damaged(const VoterSet& voters) const {
    return static_cast<std::size_t>(
        std::count_if(voters.voters().begin(), voters.voters().end(), [&](const Voter& voter) {
            return std::none_of(nodes_.begin(), nodes_.end(), [&](const Node& node) {
                return voter.key.matches({node.id, node.disk.directory});
            });
        }));
}

bool QuorumSim::may_swap(const Node& node) const {
    // Never more copies than the quorum can do without, in any voter set that may be in force.
    const auto bears = [&](const VoterSet& voters) {
        const bool counts = voters.contains({node.id, node.disk.directory});
        return damaged(voters) + (counts ? 1 : 0) <= (voters.size() - 1) / 2;
    };
    // Nor the disk of one who is about to be counted.
    const bool is_joining =
        members_.contains(node.id) && !committed_voters_.contains({node.id, node.disk.directory});
    if (committed_voters_.empty() || is_joining || !bears(committed_voters_)) {
        return false;
    }
    return std::all_of(nodes_.begin(), nodes_.end(), [&](const Node& other) {
        return !other.core || other.core->voters().empty() || bears(other.core->voters());
    });
}

void QuorumSim::swap_disk(std::size_t index) {
    Node& node = nodes_[index];
    if (!may_swap(node)) {
        return;
    }
    crash(index);
    ++stats_.swaps;
    lost_disks_.emplace_back(node.id, std::move(node.disk));
    node.disk = Disk{};
    node.disk.directory = {++last_directory_, static_cast<std::uint64_t>(node.id.value)};
    log(fmt::format("{} gets an empty disk {}", node.id, node.disk.directory));
    at(draw(std::chrono::milliseconds(300)), [this, index] { start(index); });
}

/// Addresses change, in everybody's files at once; who is not started again goes by the old ones.
void QuorumSim::move_addresses() {
    ++stats_.moves;
    const auto place = [&](Node& node) {
        const Endpoint wanted =
            place_of(node.id, static_cast<int>(random_.below(static_cast<unsigned>(places))));
        if (!find(wanted)) {
            node.address = wanted;
        }
    };
    const auto restart = [&](std::size_t index) {
        crash(index);
        at(draw(std::chrono::milliseconds(100)), [this, index] { start(index); });
    };
    const std::size_t one = random_.below(nodes_.size());
    const std::size_t other = random_.below(nodes_.size());
    switch (random_.below(3)) {
        case 0:
            restart(one);
            place(nodes_[one]);
            break;
        case 1:
            restart(one);
            restart(other);
            std::swap(nodes_[one].address, nodes_[other].address);
            break;
        case 2:
            restart_all(std::chrono::milliseconds(100));
            for (Node& node : nodes_) {
                place(node);
            }
            break;
    }
    for (const Node& node : nodes_) {
        log(fmt::format("{} lives at {} now", node.id, node.address.to_string()));
    }
}

void QuorumSim::restart_all(Duration within) {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        crash(i);
        at(draw(within), [this, i] { start(i); });
    }
}

void QuorumSim::inject_fault() {
    if (healed_) {
        return;
    }
    const std::size_t index = random_.below(nodes_.size());
    const auto leading = leader();
    const std::size_t target = leading && random_.one_in(2) ? *leading : index;
    ++stats_.faults;
    switch (random_.below(options_.moves ? 9 : 7)) {
        case 0:
        case 1:
            if (options_.crashes) {
                crash(target);
                at(draw(std::chrono::milliseconds(random_.one_in(2) ? 100 : 1500)),
                   [this, target] { start(target); });
            }
            break;
        case 2:
        case 3:
            if (options_.partitions) {
                ++stats_.partitions;
                blocked_.clear();
                for (std::size_t other = 0; other < nodes_.size(); ++other) {
                    if (other == target || (random_.one_in(3) && !random_.one_in(3))) {
                        continue;
                    }
                    if (!random_.one_in(4)) {
                        blocked_.insert({target, other});
                    }
                    if (!random_.one_in(4)) {
                        blocked_.insert({other, target});
                    }
                }
                at(draw(std::chrono::milliseconds(1500)), [this] { blocked_.clear(); });
            }
            break;
        case 4:
            if (options_.stalls) {
                nodes_[target].stalled_until = now_ + draw(std::chrono::milliseconds(800));
            }
            break;
        case 5:
            if (options_.swaps) {
                swap_disk(target);
            }
            break;
        case 6:
            if (options_.resignations && leading) {
                deliver(*leading, ResignRequested{nodes_[*leading].core->epoch()});
            }
            break;
        case 7:
        case 8:
            move_addresses();
            break;
    }
    at(draw(std::chrono::milliseconds(400)), [this] { inject_fault(); });
}

void QuorumSim::propose() {
    // Every node that believes to lead gets work, a deposed one too.
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        const Node& node = nodes_[i];
        if (node.up && node.core->role() == Role::leader && !random_.one_in(3)) {
            const auto count = static_cast<std::int32_t>(random_.between(1, 3));
            const std::uint64_t payload = ++last_payload_;
            deliver(i, Proposed{node.core->epoch(), count,
                                std::make_shared<const Buffer>(to_buffer({payload}))});
        }
        if (options_.snapshots && node.up && random_.one_in(12)) {
            take_snapshot(i);
        }
    }
    at(draw(std::chrono::milliseconds(healed_ ? 300 : 60)), [this] { propose(); });
}

void QuorumSim::operate_voters() {
    at(draw(std::chrono::milliseconds(500)), [this] { operate_voters(); });
    const auto leading = leader();
    if (!leading) {
        return;
    }
    if (options_.voter_changes && !healed_ && random_.one_in(3)) {
        const BrokerId id{
            static_cast<std::int32_t>(random_.between(1, options_.controllers + options_.spares))};
        if (!members_.contains(id)) {
            members_.insert(id);
        } else if (members_.size() > 1) {
            members_.erase(id);
        }
    }
    const VoterSet voters = nodes_[*leading].core->voters();
    const auto ask = [&](Request request) {
        const RequestId id{++last_request_};
        pending_[id.value] = {.is_client = true};
        ++stats_.voter_changes;
        deliver(*leading, RequestReceived{id, std::move(request)});
    };
    // First what is no more or shall not be, then what is missing.
    for (const Voter& voter : voters.voters()) {
        const auto node = std::find_if(nodes_.begin(), nodes_.end(),
                                       [&](const Node& n) { return n.id == voter.key.id; });
        const bool is_gone = !voter.key.matches({node->id, node->disk.directory});
        // Nobody sends a healthy voter away while the disk of another is gone.
        const bool may_leave = !members_.contains(voter.key.id) && damaged(voters) == 0;
        if ((is_gone || may_leave) && voters.size() > 1) {
            ask(RemoveVoterRequest{"cluster", voter.key});
            if (!random_.one_in(3)) {
                return;
            }
        }
    }
    for (const BrokerId id : members_) {
        if (voters.find(id) == nullptr) {
            const Node& node = nodes_[static_cast<std::size_t>(id.value - 1)];
            ask(AddVoterRequest{"cluster",
                                std::chrono::seconds(3),
                                {id, node.disk.directory},
                                listeners_of(id),
                                random_.one_in(2)});
            if (!random_.one_in(3)) {
                return;
            }
        }
    }
}

void QuorumSim::heal() {
    healed_ = true;
    blocked_.clear();
    loss_ = duplicate_ = 0;
    log("healed");
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        nodes_[i].stalled_until = now_;
        at(Duration{0}, [this, i] { start(i); });
    }
    if (options_.moves) {
        restart_all(std::chrono::milliseconds(500));  // Everybody is to read the files as they are.
    }
}

bool QuorumSim::is_settled() {
    const auto leading = leader();
    if (!leading ||
        std::any_of(nodes_.begin(), nodes_.end(), [](const Node& n) { return !n.up; })) {
        return false;
    }
    const RaftCore& core = *nodes_[*leading].core;
    if (damaged(core.voters()) > 0 || core.kraft_version() < 1 ||
        core.voters().size() != members_.size()) {
        return false;
    }
    if (final_payload_ == 0) {
        final_payload_ = ++last_payload_;
        const auto epoch = core.epoch();
        deliver(*leading,
                Proposed{epoch, 1, std::make_shared<const Buffer>(to_buffer({final_payload_}))});
        return false;
    }
    const auto last = std::find_if(committed_.rbegin(), committed_.rend(), [&](const auto& entry) {
        return entry.second.first.payload == final_payload_;
    });
    if (last == committed_.rend()) {
        // It may have been proposed to a leader that lost its place: try again by and by.
        if (random_.one_in(200)) {
            final_payload_ = 0;
        }
        return false;
    }
    return std::all_of(nodes_.begin(), nodes_.end(),
                       [&](const Node& node) { return node.applied > last->first; });
}

std::optional<std::size_t> QuorumSim::leader() const {
    std::optional<std::size_t> found;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        if (nodes_[i].up && nodes_[i].core->role() == Role::leader &&
            (!found || nodes_[*found].core->epoch() < nodes_[i].core->epoch())) {
            found = i;
        }
    }
    return found;
}

std::optional<std::size_t> QuorumSim::find(const Endpoint& endpoint) const {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        if (nodes_[i].address == endpoint) {
            return i;
        }
    }
    return std::nullopt;
}

void QuorumSim::log(const std::string& text) const {
    if (trace_) {
        std::printf("%10.3f ms  %s\n", static_cast<double>(now_.nanoseconds) / 1e6, text.c_str());
    }
}

void QuorumSim::note(std::uint64_t a, std::uint64_t b) {
    trace_hash_ = mix(trace_hash_ ^ a, b);
}

void QuorumSim::violation(std::string text) {
    if (!violation_) {
        violation_ = fmt::format("seed {} at {} ms: {} [{}]", seed_, now_.nanoseconds / 1'000'000,
                                 text, options_.to_string());
        log("VIOLATION " + *violation_);
    }
}

}  // namespace millrace::raft::sim
