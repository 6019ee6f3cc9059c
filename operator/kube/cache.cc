#include "operator/kube/cache.h"

#include <charconv>

namespace millrace::kube {

namespace {

/// Versions of one kind are numbers that grow; 0 for what isn't one.
std::uint64_t number_of(const std::string& version) {
    std::uint64_t number = 0;
    std::from_chars(version.data(), version.data() + version.size(), number);
    return number;
}

std::uint64_t version_of(const Json& object) {
    return number_of(object["metadata"]["resourceVersion"].text());
}

}  // namespace

ObjectPtr ObjectCache::get(const ObjectKey& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(key);
    return found == objects_.end() ? nullptr : found->second;
}

std::vector<ObjectPtr> ObjectCache::all(const std::string& space) const {
    const std::lock_guard lock(mutex_);
    std::vector<ObjectPtr> result;
    for (auto at = space.empty() ? objects_.begin() : objects_.lower_bound({space, ""});
         at != objects_.end() && (space.empty() || at->first.space == space); ++at) {
        result.push_back(at->second);
    }
    return result;
}

std::size_t ObjectCache::size() const {
    const std::lock_guard lock(mutex_);
    return objects_.size();
}

std::string ObjectCache::version() const {
    const std::lock_guard lock(mutex_);
    return version_;
}

std::vector<ObjectCache::Changed> ObjectCache::replace_all(Listed listed) {
    const std::lock_guard lock(mutex_);
    version_ = listed.version;
    seen_ = std::max(seen_, number_of(version_));
    std::vector<Changed> changes;
    std::map<ObjectKey, ObjectPtr> before = std::move(objects_);
    objects_.clear();
    for (Json& object : listed.items) {
        const ObjectKey key = key_of(object);
        const auto old = before.find(key);
        if (old != before.end() && version_of(*old->second) >= version_of(object) &&
            version_of(object) != 0) {
            objects_[key] = old->second;  // Ours is as new, or newer by a write of ours.
            before.erase(old);
            continue;
        }
        for (Changed& change : put(std::move(object))) {
            if (old != before.end()) {
                change.before = old->second;
            }
            changes.push_back(std::move(change));
        }
        if (old != before.end()) {
            before.erase(old);
        }
    }
    for (auto& [key, object] : before) {
        if (version_of(*object) > seen_) {
            objects_[key] = object;  // Written by us after this list was made.
        } else {
            changes.push_back({object, nullptr});
        }
    }
    return changes;
}

std::vector<ObjectCache::Changed> ObjectCache::take(Change change, Json object) {
    const std::lock_guard lock(mutex_);
    const std::string version = object["metadata"]["resourceVersion"].text();
    if (!version.empty()) {
        version_ = version;
        seen_ = std::max(seen_, number_of(version));
    }
    if (change == Change::bookmark) {
        return {};
    }
    if (change != Change::deleted) {
        return put(std::move(object));
    }
    const auto found = objects_.find(key_of(object));
    if (found == objects_.end() ||
        (*found->second)["metadata"]["uid"] != std::as_const(object)["metadata"]["uid"]) {
        return {};
    }
    ObjectPtr gone = found->second;
    objects_.erase(found);
    return {{std::move(gone), nullptr}};
}

std::vector<ObjectCache::Changed> ObjectCache::note_written(Json object) {
    const std::lock_guard lock(mutex_);
    const bool known = objects_.contains(key_of(object));
    if (object["metadata"]["name"].text().empty() || (!known && version_of(object) <= seen_)) {
        return {};  // Deleted since, and the watch said so before the answer came.
    }
    return put(std::move(object));
}

void ObjectCache::forget(const ObjectKey& key, const std::string& uid) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(key);
    if (found != objects_.end() && (*found->second)["metadata"]["uid"].text() == uid) {
        objects_.erase(found);
    }
}

std::vector<ObjectCache::Changed> ObjectCache::put(Json object) {
    object["metadata"].erase("managedFields");
    if (Json* annotations = object["metadata"].find("annotations")) {
        annotations->erase("kubectl.kubernetes.io/last-applied-configuration");
    }
    ObjectPtr& slot = objects_[key_of(object)];
    if (slot && version_of(*slot) >= version_of(object) && version_of(object) != 0) {
        return {};
    }
    Changed change{slot, std::make_shared<const Json>(std::move(object))};
    slot = change.now;
    return {std::move(change)};
}

}  // namespace millrace::kube
