// tests/unit/groups/sim_world.h
//
// Groups under a drawn life: members of both protocols that come, go, crash and dawdle, brokers
// that take over from each other, a log that refuses, delays and loses what was not committed. From
// one seed.
//
// What is checked, from the members' side alone:
//   - no two members that the group still counts on hold a partition at the same time (76)
//   - a committed offset that was acknowledged is never read back lower, nor overwritten by a
//   member
//     that has lost the partition (75)
//   - every request is answered exactly once
//   - once faults end, every partition has exactly one owner again
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "group_fixture.h"

namespace millrace::groups::sim {

using Partition = std::int32_t;

class World;

/// One consumer process. Its incarnation has a member id; a crash ends it silently.
class Client {
public:
    Client(World& world, std::string name) : world_(world), name_(std::move(name)) {}
    virtual ~Client() = default;

    /// Whatever it would do next; called at drawn times.
    virtual void act() = 0;
    virtual void crash() = 0;
    virtual void leave() = 0;
    /// How long the group counts on it after it was last heard.
    virtual Duration grace() const = 0;

    const std::string& name() const { return name_; }
    bool is_up() const { return up_; }
    void start() { up_ = true; }
    const std::set<Partition>& owned() const { return owned_; }
    Instant last_heard() const { return last_heard_; }

protected:
    void take(Partition partition);
    /// Commits the next offset of something that it owns, as a member of `epoch`.
    void commit(const std::string& member, std::int32_t epoch);

    World& world_;
    std::string name_;
    bool up_ = false;
    std::uint64_t incarnation_ = 0;  ///< Answers to an earlier one are not for us.
    std::set<Partition> owned_;
    std::map<Partition, std::int64_t> position_;
    std::map<Partition, std::uint64_t> claims_;  ///< How often it was given a partition.
    Instant last_heard_;                         ///< When the last request that succeeded was sent.
};

class World {
public:
    World(std::uint64_t seed, std::string kind);
    ~World() { coordinator.reset(); }  // Its last answers still find the clients.

    void run(int steps);
    /// Ends all faults and waits for the groups to settle.
    void settle();

    support::ManualLoop loop;
    support::MemoryTopic topic;
    support::MemoryLog log{loop, topic};
    SeededRandom random;
    GroupSettings settings;
    std::shared_ptr<TestTopics> topics = std::make_shared<TestTopics>();
    std::unique_ptr<GroupCoordinator> coordinator;
    std::vector<std::unique_ptr<Client>> clients;
    std::map<Partition, std::int64_t> acknowledged;
    Partition partitions = 8;
    std::size_t open_requests = 0;
    std::size_t takeovers = 0;
    std::size_t assignments = 0;
    std::size_t commits = 0;

    /// Says what happens, if SIM_TRACE is set.
    template <typename... Args>
    void note(fmt::format_string<Args...> format, Args&&... args) const {
        if (trace) {
            fmt::print(stderr, "{:8.3f} {}\n", static_cast<double>(loop.now().nanoseconds) / 1e9,
                       fmt::format(format, std::forward<Args>(args)...));
        }
    }
    bool trace = false;
    void check_sole_owner(const Client& owner, Partition partition) const;
    std::string describe() const;

private:
    void fault();
    void take_over();
    void compact();

    std::int32_t epoch_ = 0;
};

std::unique_ptr<Client> make_classic_client(World& world, std::string name);
std::unique_ptr<Client> make_consumer_client(World& world, std::string name);

}  // namespace millrace::groups::sim
