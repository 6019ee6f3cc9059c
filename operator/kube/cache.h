// operator/kube/cache.h
//
// What is known of one kind's objects: fed by a list and a watch, and by the answers to our own
// writes, so that whoever wrote reads what they wrote. Older news never replaces newer, and
// whatever changes is told once, by list or watch: what a write of ours changed too, when they
// bring it. Objects are immutable and shared; managedFields and kubectl's copy of what was applied
// are left out, nobody reads them. Any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "operator/kube/api.h"

namespace millrace::kube {

using ObjectPtr = std::shared_ptr<const Json>;

class ObjectCache {
public:
    struct Changed {
        ObjectPtr before;  ///< Null: it is new.
        ObjectPtr now;     ///< Null: it is gone.
    };

    ObjectPtr get(const ObjectKey& key) const;
    std::vector<ObjectPtr> all(const std::string& space = "") const;
    std::size_t size() const;

    /// A whole list: what isn't in it is gone. Says what differs from before.
    std::vector<Changed> replace_all(Listed listed);
    /// One event of the watch. Nothing if all of it was told before.
    std::vector<Changed> take(Change change, Json object);
    /// What the server answered to a write of ours: can be read now, is told with the watch's
    /// event.
    void note_written(Json object);

    /// A write of ours took it away; not if another has its name by now.
    void forget(const ObjectKey& key, const std::string& uid);

    /// To go on watching from; empty before the first list.
    std::string version() const;

private:
    std::vector<Changed> put(Json object);
    /// Null if there is nothing newer in the object than in what is there.
    ObjectPtr store(Json object);

    mutable std::mutex mutex_;
    std::map<ObjectKey, ObjectPtr> objects_;
    /// What writes of ours changed and nobody was told yet: as it was told last, null if never.
    std::map<ObjectKey, ObjectPtr> untold_;
    std::map<ObjectKey, ObjectPtr> forgotten_;  ///< Gone by forget(), and nobody was told yet.
    std::string version_;
    std::uint64_t seen_ = 0;  ///< Newest version that list or watch told.
};

}  // namespace millrace::kube
