// replication/internal/fetcher.h
//
// Pulls from one leader what this shard follows there, for one kind of durability and one lane: who
// is in sync waits for no bulk of those that are still catching up. One fetch is always in flight;
// its answer is appended, and the next leaves at once (replicated, or far behind) or when all that
// is here is synced (synced), so that it can say so.
#pragma once

#include <functional>
#include <memory>
#include <set>

#include "net/channel.h"
#include "replication/internal/partition.h"
#include "replication/peers.h"

namespace millrace::replication {

class Fetcher : public std::enable_shared_from_this<Fetcher> {
public:
    struct Options {
        BrokerId self;
        BrokerId leader;
        Durability durability = Durability::synced;
        FollowerFetch fetch;
    };
    using Find = std::function<std::shared_ptr<Partition>(const TopicIdPartition&)>;

    Fetcher(Options options, runtime::Shard shard, const Peers& peers, Find find,
            const Logger& log);

    void add(const TopicIdPartition& id);
    /// The same without disturbing a fetch under way: `asked` runs once one asks for it, and until
    /// then another fetcher goes on.
    void join(const TopicIdPartition& id, UniqueFunction<void()> asked);
    void remove(const TopicIdPartition& id);
    bool idle() const { return partitions_.empty() && joining_.empty(); }
    void stop();

private:
    void kick();
    void round();
    Buffer request();
    void on_answer(Result<net::ResponseFrame> answer);
    void on_failure(const Error& why);
    Result<void> take(const net::ResponseFrame& frame);
    bool waits_for_syncs();
    void retry_later(Duration delay);

    Options options_;
    runtime::Shard shard_;
    const Peers& peers_;
    Find find_;
    const Logger& log_;
    std::unique_ptr<net::Channel> channel_;
    std::optional<runtime::Address> address_;
    std::set<TopicIdPartition> partitions_;
    std::map<TopicIdPartition, UniqueFunction<void()>> joining_;
    std::map<TopicIdPartition, std::pair<LeaderEpoch, Offset>> asked_;
    std::map<TopicIdPartition, Instant> backing_off_;
    std::optional<Duration> opens_in_;  ///< When what the last request left out may be asked for.
    int syncs_to_come_ = 0;             ///< The next fetch leaves after them.
    bool in_flight_ = false;
    bool kicked_ = false;
    bool stopped_ = false;
    bool restart_ = false;  ///< Something joined while a fetch was parked: don't wait for it.
};

}  // namespace millrace::replication
