#include "runtime/sim/sim_node.h"

#include <algorithm>
#include <utility>

#include "runtime/logfmt.h"
#include "runtime/sim/internal/sim_net.h"
#include "runtime/sim/simulation.h"

namespace millrace::runtime::sim {

namespace {

constexpr std::uint16_t first_free_port = 30'000;

}  // namespace

struct SimNode::Loop {
    Loop(World& world, SimNetwork& network, SimNode& node, const SimClock& clock,
         std::uint32_t number)
        : executor(world, node, clock, number), net(network, node, executor), random(0) {}

    SimExecutor executor;
    SimNet net;
    SeededRandom random;
};

class SimNode::LogSink final : public millrace::LogSink {
public:
    LogSink(Simulation& simulation, const SimNode& node) : simulation_(simulation), node_(node) {}
    void write(Level level, std::string_view event, std::initializer_list<Field> fields) override {
        const std::string line = to_logfmt(level, event, fields);
        simulation_.note(&node_, line);
        if (level == Level::error) {
            simulation_.logged_error(node_, event, line);
        }
    }

private:
    Simulation& simulation_;
    const SimNode& node_;
};

/// A quarter of the points is on in a seed, the same on every node.
class SimNode::Points final : public Buggify {
public:
    Points(World& world, std::uint64_t seed) : world_(world), random_(seed) {}
    bool fires(std::string_view point) override {
        if (world_.ambient.buggify == 0 || derive_seed(world_.seed, point) % 4 != 0 ||
            !World::chance(random_, world_.ambient.buggify)) {
            return false;
        }
        world_.count(FaultKind::buggify);
        return true;
    }

private:
    World& world_;
    SeededRandom random_;
};

SimNode::SimNode(Simulation& simulation, World& world, SimNetwork& network, SimNodeOptions options,
                 std::uint32_t index, std::uint32_t& next_loop)
    : simulation_(simulation),
      world_(world),
      network_(network),
      name_(std::move(options.name)),
      index_(index),
      clock_(world.now),
      disk_(world, *this, derive_seed(world.seed, "disk", index), options.disk_capacity),
      pool_(world, *this, options.disk_threads),
      log_(std::make_shared<LogSink>(simulation, *this)),
      points_(std::make_unique<Points>(world, derive_seed(world.seed, "buggify", index))) {
    for (std::size_t i = 0; i <= options.data_shards; ++i) {
        loops_.push_back(std::make_unique<Loop>(world, network, *this, clock_, next_loop++));
    }
    SeededRandom random(derive_seed(world.seed, "clock", index));
    clock_.start_at({random.between(0, std::int64_t{1} << 50)});
    const std::int64_t drift = world.ambient.drift_ppm;
    clock_.set_drift(random.between(-drift, drift));
    const std::int64_t offset = world.ambient.wall_offset.count();
    clock_.shift_wall(Duration{random.between(-offset, offset)});
}

SimNode::~SimNode() {
    if (is_running()) {
        end_life(End::killed);
    }
}

Shard SimNode::data_shard(std::size_t index) {
    MR_ASSERT(index < data_shards());
    return shard_of(*loops_[index]);
}

Shard SimNode::control_shard() {
    return shard_of(*loops_.back());
}

Shard SimNode::shard_of(Loop& loop) {
    return {&loop.executor, &loop.net, &loop.random};
}

Buggify& SimNode::buggify() {
    return *points_;
}

void SimNode::start(ProgramFactory factory) {
    factory_ = std::move(factory);
    restart();
}

void SimNode::restart() {
    MR_ASSERT(!is_running());
    MR_ASSERT(factory_ != nullptr);
    restore_power();
    life_ = world_.next_life++;
    ++lives_;
    for (std::size_t i = 0; i < loops_.size(); ++i) {
        loops_[i]->random = SeededRandom(derive_seed(world_.seed, name_, lives_ * 1000 + i));
        loops_[i]->executor.begin_life();
    }
    simulation_.note(this, "starts");
    program_ = factory_(*this);
    MR_ASSERT(program_ != nullptr);
    end_if_doomed();
}

void SimNode::come_back() {
    if (stopping_) {
        kill();  // It had its grace.
    }
    if (!is_running() && factory_) {
        restart();
    }
}

void SimNode::stop() {
    if (!is_running() || std::exchange(stopping_, true)) {
        return;
    }
    simulation_.note(this, "is asked to stop");
    loops_.back()->executor.post([this] {
        program_->stop([this, life = life_] {
            // Not from inside the program that this destroys.
            world_.in(Duration{}, [this, life] {
                if (life_ == life) {
                    end_life(End::graceful);
                }
            });
        });
    });
}

void SimNode::kill() {
    if (is_running()) {
        end_life(End::killed);
    }
}

void SimNode::cut_power() {
    if (has_power_) {
        end_life(End::powerless);
    }
}

void SimNode::restore_power() {
    if (!std::exchange(has_power_, true)) {
        network_.node_booted(*this);
    }
}

void SimNode::end_life(End how) {
    MR_ASSERT(world_.executor == nullptr && !world_.in_pool_job);
    simulation_.note(this, how == End::graceful ? "has stopped"
                           : how == End::killed ? "is killed"
                                                : "loses power");
    if (how == End::powerless) {
        network_.power_cut(*this);
        doom_takes_power_ = true;
    }
    if (how != End::graceful) {
        disk_.die();  // Destructors have no effect on the world, as after kill -9.
    }
    const LifeId life = std::exchange(life_, world_life);
    if (life != world_life) {
        // Tasks first: what they refer to is still there.
        world_.events.end_life(life);
        pool_.forget_everything();
        program_.reset();
    }
    parked_.clear();
    ports_.clear();
    disk_.revive();
    disk_.release_locks();
    paused_ = stopping_ = doom_takes_power_ = false;
    if (how == End::powerless) {
        disk_.cut_power();
        has_power_ = false;
        ++boot_;
        clock_.start_at({0});
    }
}

void SimNode::pause() {
    if (is_running() && !std::exchange(paused_, true)) {
        simulation_.note(this, "stands still");
    }
}

void SimNode::resume() {
    if (!std::exchange(paused_, false)) {
        return;
    }
    simulation_.note(this, "goes on");
    for (const EventHeap::Entry& entry : std::exchange(parked_, {})) {
        if (world_.events.exists(entry)) {
            world_.events.put_off(entry, world_.now);
        }
    }
}

void SimNode::doom(std::uint64_t n, bool with_power, Duration back_after) {
    if (is_running()) {
        disk_.die_at_call(n);
        doom_takes_power_ = with_power;
        doom_back_after_ = back_after;
    }
}

void SimNode::end_if_doomed() {
    if (!is_running() || !is_doomed()) {
        return;
    }
    const bool with_power = doom_takes_power_;
    world_.count(with_power ? FaultKind::power_cut_in_write : FaultKind::kill_in_write);
    end_life(with_power ? End::powerless : End::killed);
    simulation_.back_after(*this, doom_back_after_);
}

void SimNode::note(const std::string& line) {
    simulation_.note(this, line);
}

std::uint16_t SimNode::free_port() {
    do {
        next_port_ =
            next_port_ == UINT16_MAX ? first_free_port : static_cast<std::uint16_t>(next_port_ + 1);
    } while (ports_.count(next_port_) > 0);
    return next_port_;
}

bool SimNode::open_port(std::uint16_t number, std::shared_ptr<ListeningPort> port) {
    return ports_.try_emplace(number, std::move(port)).second;
}

std::shared_ptr<ListeningPort> SimNode::port(std::uint16_t number) const {
    const auto found = ports_.find(number);
    return found == ports_.end() ? nullptr : found->second;
}

}  // namespace millrace::runtime::sim
