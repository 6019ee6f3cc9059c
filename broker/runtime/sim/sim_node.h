// runtime/sim/sim_node.h
//
// One simulated machine and the program on it. The machine (disk, name, clock) outlives its
// programs; each start() is a new life, whose end destroys the program and every task, timer, job
// and connection that it had.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/node.h"
#include "runtime/sim/internal/sim_clock.h"
#include "runtime/sim/internal/sim_disk_pool.h"
#include "runtime/sim/internal/sim_executor.h"
#include "runtime/sim/internal/world.h"
#include "runtime/sim/sim_disk.h"

namespace millrace::runtime::sim {

class SimNetwork;
class Simulation;
struct ListeningPort;

/// What runs on a node: a broker object, a client. It is built outside its loops, as in main(), may
/// post, listen and start timers there, and is destroyed without a word when killed.
class Program {
public:
    virtual ~Program() = default;
    /// SIGTERM: say good-bye, then call `stopped`; the object is destroyed after that.
    virtual void stop(Task stopped) { stopped(); }
};

using ProgramFactory = std::function<std::unique_ptr<Program>(Node&)>;

struct SimNodeOptions {
    std::string name;  ///< Its host name. Required.
    std::size_t data_shards = 1;
    unsigned disk_threads = 4;
    std::uint64_t disk_capacity = 1ULL << 34;
};

class SimNode final : public Node {
public:
    SimNode(Simulation& simulation, World& world, SimNetwork& network, SimNodeOptions options,
            std::uint32_t index, std::uint32_t& next_loop);
    ~SimNode() override;

    // As the program sees it.
    std::size_t data_shards() const override { return loops_.size() - 1; }
    Shard data_shard(std::size_t index) override;
    Shard control_shard() override;
    Disk& disk() override { return disk_; }
    DiskPool& disk_pool() override { return pool_; }
    const Logger& log() const override { return log_; }
    Buggify& buggify() override;

    // As the script sees it.
    void start(ProgramFactory factory);
    void restart();  ///< The same program once more; not while one runs.
    /// Runs again if it ever ran: what hangs in a stop is killed, what is paused stays.
    void come_back();
    void stop();  ///< Gracefully; is_running() until it has ended.
    void kill();  ///< The process: the page cache and the kernel's good-byes survive.
    void cut_power();
    void restore_power();  ///< restart() does it too.
    void pause();
    void resume();
    bool is_running() const { return program_ != nullptr; }
    bool is_paused() const { return paused_; }
    bool has_power() const { return has_power_; }
    Program* program() { return program_.get(); }

    SimDisk& sim_disk() { return disk_; }
    SimClock& sim_clock() { return clock_; }
    const std::string& name() const { return name_; }
    std::uint32_t index() const { return index_; }

    // As the rest of the simulation sees it.
    LifeId life() const { return life_; }
    std::uint64_t boot() const { return boot_; }
    bool accepts_tasks() const { return life_ != world_life; }
    bool is_doomed() const { return disk_.is_dead(); }
    bool loses_power() const { return is_doomed() && doom_takes_power_; }
    /// Dies at the `n`th disk call from now, in the middle of whatever it does.
    void doom(std::uint64_t n, bool with_power, Duration back_after);
    void end_if_doomed();
    void note(const std::string& line);  ///< For the trace.
    void park(const EventHeap::Entry& entry) { parked_.push_back(entry); }
    std::uint16_t free_port();
    bool open_port(std::uint16_t number, std::shared_ptr<ListeningPort> port);
    void close_port(std::uint16_t number) { ports_.erase(number); }
    std::shared_ptr<ListeningPort> port(std::uint16_t number) const;

private:
    struct Loop;
    class LogSink;
    class Points;

    Shard shard_of(Loop& loop);
    enum class End { graceful, killed, powerless };
    void end_life(End how);

    Simulation& simulation_;
    World& world_;
    SimNetwork& network_;
    const std::string name_;
    const std::uint32_t index_;
    SimClock clock_;
    SimDisk disk_;
    SimDiskPool pool_;
    Logger log_;
    std::vector<std::unique_ptr<Loop>> loops_;  ///< The last one is the control loop.
    std::unique_ptr<Points> points_;
    std::map<std::uint16_t, std::shared_ptr<ListeningPort>> ports_;
    std::uint16_t next_port_ = 30'000;
    std::vector<EventHeap::Entry> parked_;

    ProgramFactory factory_;
    std::unique_ptr<Program> program_;
    LifeId life_ = world_life;
    std::uint64_t boot_ = 1;
    std::uint64_t lives_ = 0;
    bool has_power_ = true;
    bool paused_ = false;
    bool stopping_ = false;
    bool doom_takes_power_ = false;
    Duration doom_back_after_{};
};

}  // namespace millrace::runtime::sim
