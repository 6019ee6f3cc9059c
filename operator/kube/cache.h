// operator/kube/cache.h
//
// What is known of one kind's objects: fed by a list and a watch, and by the answers to our own
// writes, so that whoever wrote reads what they wrote. Older news never replaces newer, and
// whatever changes is told once, by list or watch: what a write of ours changed too, when they
// bring it. Objects are immutable and shared; managedFields and kubectl's copy of what was applied
// are left out, nobody reads them. Any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
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

    /// Names the group of an object of many: those that are read together.
    using GroupOf = std::function<std::string(const Json&)>;

    ObjectCache() = default;
    explicit ObjectCache(GroupOf group_of) : group_of_(std::move(group_of)) {}

    ObjectPtr get(const ObjectKey& key) const;
    std::vector<ObjectPtr> all(const std::string& space = "") const;
    /// One after the other, without the lock. Where there are no groups: all of them.
    void look_at_group(const std::string& group,
                       const std::function<void(const Json&)>& look) const;
    std::size_t size() const;

    /// A whole list: what isn't in it is gone. Says what differs from before. Where several
    /// namespaces are listed and watched one by one, `space` says which it is; else it is empty.
    std::vector<Changed> replace_all(Listed listed, const std::string& space = "");
    /// One event of the watch. Nothing if all of it was told before.
    std::vector<Changed> take(Change change, Json object, const std::string& space = "");
    /// What the server answered to a write of ours: can be read now, is told with the watch's
    /// event.
    void note_written(Json object);

    /// A write of ours took it away; not if another has its name by now.
    void forget(const ObjectKey& key, const std::string& uid);

    /// To go on watching from; empty before the first list.
    std::string version(const std::string& space = "") const;

private:
    /// How far one list and its watch have come.
    struct Told {
        std::string version;
        std::uint64_t seen = 0;  ///< Newest version that they told.
    };

    struct Held {
        std::uint64_t version = 0;
        std::string uid;
        std::string group;
        ObjectPtr object;  ///< Null where the text stands for it.
        std::string text;
        ObjectPtr open() const;
    };
    using HeldPtr = std::shared_ptr<const Held>;
    struct Stored {
        HeldPtr held;      ///< Null if there is nothing newer in it than in what is there.
        ObjectPtr object;  ///< What was stored.
    };

    std::vector<Changed> put(Json object);
    Stored store(Json object);
    /// Newest version that was told of this object's namespace.
    std::uint64_t seen_of(const ObjectKey& key) const;
    static ObjectPtr open(const HeldPtr& held) { return held ? held->open() : nullptr; }

    const GroupOf group_of_;
    mutable std::mutex mutex_;
    std::map<ObjectKey, HeldPtr> objects_;
    /// What writes of ours changed and nobody was told yet: as it was told last, null if never.
    std::map<ObjectKey, HeldPtr> untold_;
    std::map<ObjectKey, HeldPtr> forgotten_;  ///< Gone by forget(), and nobody was told yet.
    std::map<std::string, Told> told_;        ///< By namespace; empty: all in one.
};

}  // namespace millrace::kube
