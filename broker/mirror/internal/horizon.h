// mirror/internal/horizon.h
//
// When each compacted mirror of a link was last level with its source (horizon_core.h): asked of
// both clusters now and then, noted in the topic's settings.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/cluster.h"
#include "mirror/internal/ends.h"
#include "mirror/internal/own_cluster.h"
#include "mirror/topics_core.h"

namespace millrace::mirror {

bool is_compacted(const config::Entries& settings);
/// That the topic's tombstones stay at least so long at the source.
Duration delete_retention_of(const config::Entries& settings);

class HorizonWatch : public std::enable_shared_from_this<HorizonWatch> {
public:
    HorizonWatch(client::Cluster& source, client::Cluster& own, OwnCluster& controller,
                 runtime::Executor& loop)
        : source_(source), own_(own), controller_(controller), loop_(loop) {}

    struct Mirror {
        std::string source;
        LocalTopic local;
    };
    /// Looks at those that are due; one look at a time.
    void look(std::vector<Mirror> mirrors);

private:
    /// What the source had at a moment, which the mirror has yet to reach.
    struct Goal {
        Timestamp asked;
        std::vector<Offset> ends;
    };

    void set_goals(const std::vector<Mirror>& mirrors, Timestamp asked, const Ends& theirs);
    void compare(std::vector<Mirror> mirrors);
    void judge(const Mirror& mirror, const std::vector<Offset>& ours);

    client::Cluster& source_;
    client::Cluster& own_;
    OwnCluster& controller_;
    runtime::Executor& loop_;
    bool looking_ = false;
    std::map<std::string, Instant> due_;
    std::map<std::string, Goal> goals_;
};

}  // namespace millrace::mirror
