// operator/kube/informer.h
//
// Keeps caches of kinds current: list, then watch from there; list again when the server has
// forgotten our version (410); wait longer each time when it can't be reached. One thread a kind
// (and namespace, where several are followed one by one), asleep in its watch. Subscribers are
// called on those threads and must only take notes.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/log.h"
#include "base/time.h"
#include "operator/kube/api.h"
#include "operator/kube/cache.h"

namespace millrace::kube {

using OnNews = std::function<void(const Kind&, const ObjectCache::Changed&)>;

/// What the loop does next, without threads or clocks: for Informers and for tests.
class InformerCore {
public:
    enum class Next { list, watch };
    Next next() const { return next_; }
    void listed(Result<void> outcome);
    void watched(const Result<void>& outcome);
    /// Before the next call; zero after a success.
    Duration pause() const { return pause_; }

private:
    void failed();
    Next next_ = Next::list;
    Duration pause_{0};
};

class Informers {
public:
    struct Wanted {
        Kind kind;
        Selection selection;
        ObjectCache::GroupOf group_of{};  ///< Where there may be thousands: see cache.h.
    };
    /// A kind may be wanted several times, each time of another namespace: it has one cache.
    static std::unique_ptr<Informers> start(std::shared_ptr<Api> api, std::vector<Wanted> wanted,
                                            OnNews on_news, Logger log);
    virtual ~Informers() = default;  ///< Api::stop() first, or it waits for the watches to end.

    virtual ObjectCache& cache(const Kind& kind) = 0;
    /// Every kind was listed at least once. A namespace of several that may not be read (yet, or
    /// any more: it may be gone) is not waited for, unless all are such.
    virtual bool synced() const = 0;
    /// And this namespace can be worked on: all of it was listed.
    virtual bool synced(const std::string& space) const = 0;
    /// How long ago the quietest kind heard from the server; bookmarks count. For liveness.
    virtual Duration silence() const = 0;
};

}  // namespace millrace::kube
