// mirror/internal/group_sync.h
//
// Rounds of copying group offsets: the source's commits first, then how far the mirror reaches, so
// that no offset is written beyond it; then what the groups have here, then the commits.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/log.h"
#include "client/cluster.h"
#include "mirror/group_core.h"
#include "mirror/link.h"

namespace millrace::mirror {

class GroupSync : public std::enable_shared_from_this<GroupSync> {
public:
    struct Outcome {
        std::int64_t groups = 0;
        std::int64_t written = 0;
        std::int64_t skipped = 0;
        std::int64_t failed = 0;
        std::map<std::string, std::vector<ClampedOffset>> clamped;
    };
    using Done = UniqueFunction<void(Result<Outcome>)>;

    GroupSync(client::Cluster& source, client::Cluster& own, const Logger& log)
        : source_(source), own_(own), log_(log) {}

    struct Mirror {
        std::string topic;
        std::optional<Timestamp> since = {};  ///< It took writes here before.
    };
    using Mirrors = std::map<std::string, Mirror>;  ///< By the source's topic.

    /// `mirrors`: those whose offsets follow. One round at a time; `done` does not run if we are
    /// destroyed. Both clusters outlive us.
    void round(const LinkSpec& spec, std::string mark, Mirrors mirrors, Done done);

    /// Sets back what groups have here behind these ends: of a sync whose source is this cluster.
    void end(Endings endings, Done done);

private:
    struct Round;
    struct OneGroup;

    void list_groups(const std::shared_ptr<Round>& round);
    void begin_groups(const std::shared_ptr<Round>& round);
    void begin_group(const std::shared_ptr<Round>& round, std::string name);
    void set_back(const std::shared_ptr<Round>& round, const std::shared_ptr<OneGroup>& group);
    void end_group(const std::shared_ptr<Round>& round);
    void reach(const std::shared_ptr<Round>& round, const std::shared_ptr<OneGroup>& group,
               const std::set<std::string>& topics);
    void use_reach(const std::shared_ptr<Round>& round, const std::shared_ptr<OneGroup>& group);
    void read_here(const std::shared_ptr<Round>& round, const std::shared_ptr<OneGroup>& group);
    void commit(const std::shared_ptr<Round>& round, const std::shared_ptr<OneGroup>& group);
    void give_up(const std::shared_ptr<Round>& round, const OneGroup& group, const Error& why);
    static void fetch(client::Cluster& cluster, const std::string& group,
                      UniqueFunction<void(Result<GroupOffsets>)> done);

    /// Runs `then` with us unless we are gone: then nobody waits for the round any more.
    template <typename Then>
    auto guarded(Then then) {
        return [weak = weak_from_this(), then = std::move(then)](auto&&... args) mutable {
            if (auto self = weak.lock()) {
                then(*self, std::forward<decltype(args)>(args)...);
            }
        };
    }

    client::Cluster& source_;
    client::Cluster& own_;
    const Logger& log_;
};

}  // namespace millrace::mirror
