#include "operator/kube/cache.h"

#include <charconv>
#include <set>
#include <utility>

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
    for (auto& [key, object] : std::exchange(forgotten_, {})) {
        changes.push_back({object, nullptr});
    }
    std::set<ObjectKey> there;
    for (Json& object : listed.items) {
        there.insert(key_of(object));
        for (Changed& change : put(std::move(object))) {
            changes.push_back(std::move(change));
        }
    }
    std::erase_if(objects_, [&](const auto& entry) {
        const auto& [key, object] = entry;
        if (there.contains(key) || version_of(*object) > seen_) {
            return false;  // Or written by us after this list was made.
        }
        changes.push_back({object, nullptr});
        untold_.erase(key);
        return true;
    });
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
    const ObjectKey key = key_of(object);
    for (auto* held : {&objects_, &forgotten_}) {
        const auto found = held->find(key);
        if (found == held->end() ||
            (*found->second)["metadata"]["uid"] != std::as_const(object)["metadata"]["uid"]) {
            continue;
        }
        ObjectPtr gone = found->second;
        held->erase(found);
        if (held == &objects_) {
            untold_.erase(key);
        }
        return {{std::move(gone), nullptr}};
    }
    return {};
}

void ObjectCache::note_written(Json object) {
    const std::lock_guard lock(mutex_);
    const ObjectKey key = key_of(object);
    const auto known = objects_.find(key);
    if (key.name.empty() || (known == objects_.end() && version_of(object) <= seen_)) {
        return;  // Deleted since, and the watch said so before the answer came.
    }
    ObjectPtr before = known == objects_.end() ? nullptr : known->second;
    if (store(std::move(object))) {
        untold_.try_emplace(key, std::move(before));
    }
}

void ObjectCache::forget(const ObjectKey& key, const std::string& uid) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(key);
    if (found != objects_.end() && (*found->second)["metadata"]["uid"].text() == uid) {
        forgotten_[key] = std::move(found->second);
        objects_.erase(found);
        untold_.erase(key);
    }
}

ObjectPtr ObjectCache::store(Json object) {
    ObjectPtr& slot = objects_[key_of(object)];
    if (slot && version_of(*slot) >= version_of(object) && version_of(object) != 0) {
        return nullptr;
    }
    object["metadata"].erase("managedFields");
    if (Json* annotations = object["metadata"].find("annotations")) {
        annotations->erase("kubectl.kubernetes.io/last-applied-configuration");
    }
    slot = std::make_shared<const Json>(std::move(object));
    return slot;
}

std::vector<ObjectCache::Changed> ObjectCache::put(Json object) {
    const ObjectKey key = key_of(object);
    const std::uint64_t version = version_of(object);
    const auto known = objects_.find(key);
    ObjectPtr before = known == objects_.end() ? nullptr : known->second;
    ObjectPtr now = store(std::move(object));
    if (const auto untold = untold_.find(key); untold != untold_.end()) {
        if (!now && version_of(*before) != version) {
            return {};  // An event of before our write; its own is still to come.
        }
        // Whoever wrote it looked at the world as it was before: this wakes them to look again.
        now = now ? std::move(now) : std::move(before);
        before = std::move(untold->second);
        untold_.erase(untold);
    }
    return now ? std::vector<Changed>{{std::move(before), std::move(now)}} : std::vector<Changed>{};
}

}  // namespace millrace::kube
