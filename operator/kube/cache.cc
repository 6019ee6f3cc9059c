#include "operator/kube/cache.h"

#include <charconv>
#include <set>
#include <utility>

#include "base/assert.h"

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

const std::string& uid_of(const Json& object) {
    return object["metadata"]["uid"].text();
}

}  // namespace

ObjectPtr ObjectCache::Held::open() const {
    if (object) {
        return object;
    }
    auto read = Json::parse(text);
    MR_ASSERT(read.has_value());  // We wrote it.
    return std::make_shared<const Json>(*std::move(read));
}

ObjectPtr ObjectCache::get(const ObjectKey& key) const {
    HeldPtr held;
    {
        const std::lock_guard lock(mutex_);
        const auto found = objects_.find(key);
        held = found == objects_.end() ? nullptr : found->second;
    }
    return open(held);
}

std::vector<ObjectPtr> ObjectCache::all(const std::string& space) const {
    const std::lock_guard lock(mutex_);
    std::vector<ObjectPtr> result;
    for (auto at = space.empty() ? objects_.begin() : objects_.lower_bound({space, ""});
         at != objects_.end() && (space.empty() || at->first.space == space); ++at) {
        result.push_back(at->second->open());
    }
    return result;
}

void ObjectCache::look_at_group(const std::string& group,
                                const std::function<void(const Json&)>& look) const {
    std::vector<HeldPtr> members;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [key, held] : objects_) {
            if (!group_of_ || held->group == group) {
                members.push_back(held);
            }
        }
    }
    for (const HeldPtr& held : members) {
        look(*held->open());
    }
}

std::size_t ObjectCache::size() const {
    const std::lock_guard lock(mutex_);
    return objects_.size();
}

std::string ObjectCache::version(const std::string& space) const {
    const std::lock_guard lock(mutex_);
    const auto found = told_.find(space);
    return found == told_.end() ? "" : found->second.version;
}

std::uint64_t ObjectCache::seen_of(const ObjectKey& key) const {
    auto found = told_.find(key.space);
    if (found == told_.end()) {
        found = told_.find("");
    }
    return found == told_.end() ? 0 : found->second.seen;
}

std::vector<ObjectCache::Changed> ObjectCache::replace_all(Listed listed,
                                                           const std::string& space) {
    const std::lock_guard lock(mutex_);
    Told& told = told_[space];
    told.version = listed.version;
    told.seen = std::max(told.seen, number_of(told.version));
    const auto is_elsewhere = [&](const ObjectKey& key) {
        return !space.empty() && key.space != space;
    };
    std::vector<Changed> changes;
    std::erase_if(forgotten_, [&](const auto& entry) {
        if (is_elsewhere(entry.first)) {
            return false;
        }
        changes.push_back({entry.second->open(), nullptr});
        return true;
    });
    std::set<ObjectKey> there;
    for (Json& object : listed.items) {
        there.insert(key_of(object));
        for (Changed& change : put(std::move(object))) {
            changes.push_back(std::move(change));
        }
    }
    std::erase_if(objects_, [&](const auto& entry) {
        const auto& [key, held] = entry;
        if (is_elsewhere(key) || there.contains(key) || held->version > told.seen) {
            return false;  // Or written by us after this list was made.
        }
        changes.push_back({held->open(), nullptr});
        untold_.erase(key);
        return true;
    });
    return changes;
}

std::vector<ObjectCache::Changed> ObjectCache::take(Change change, Json object,
                                                    const std::string& space) {
    const std::lock_guard lock(mutex_);
    const std::string version = object["metadata"]["resourceVersion"].text();
    if (!version.empty()) {
        Told& told = told_[space];
        told.version = version;
        told.seen = std::max(told.seen, number_of(version));
    }
    if (change == Change::bookmark) {
        return {};
    }
    if (change != Change::deleted) {
        return put(std::move(object));
    }
    const ObjectKey key = key_of(object);
    for (auto* some : {&objects_, &forgotten_}) {
        const auto found = some->find(key);
        if (found == some->end() || found->second->uid != uid_of(object)) {
            continue;
        }
        ObjectPtr gone = found->second->open();
        some->erase(found);
        if (some == &objects_) {
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
    if (key.name.empty() || (known == objects_.end() && version_of(object) <= seen_of(key))) {
        return;  // Deleted since, and the watch said so before the answer came.
    }
    HeldPtr before = known == objects_.end() ? nullptr : known->second;
    if (store(std::move(object)).held) {
        untold_.try_emplace(key, std::move(before));
    }
}

void ObjectCache::forget(const ObjectKey& key, const std::string& uid) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(key);
    if (found != objects_.end() && found->second->uid == uid) {
        forgotten_[key] = std::move(found->second);
        objects_.erase(found);
        untold_.erase(key);
    }
}

ObjectCache::Stored ObjectCache::store(Json object) {
    HeldPtr& slot = objects_[key_of(object)];
    const std::uint64_t version = version_of(object);
    if (slot && slot->version >= version && version != 0) {
        return {};
    }
    object["metadata"].erase("managedFields");
    if (Json* annotations = object["metadata"].find("annotations")) {
        annotations->erase("kubectl.kubernetes.io/last-applied-configuration");
    }
    Held held;
    held.version = version;
    held.uid = uid_of(object);
    if (group_of_) {
        held.group = group_of_(object);
        held.text = object.dump();
        held.text.shrink_to_fit();
    }
    auto shared = std::make_shared<const Json>(std::move(object));
    if (!group_of_) {
        held.object = shared;
    }
    slot = std::make_shared<const Held>(std::move(held));
    return {slot, std::move(shared)};
}

std::vector<ObjectCache::Changed> ObjectCache::put(Json object) {
    const ObjectKey key = key_of(object);
    const std::uint64_t version = version_of(object);
    const auto known = objects_.find(key);
    HeldPtr before = known == objects_.end() ? nullptr : known->second;
    ObjectPtr now = store(std::move(object)).object;
    if (const auto untold = untold_.find(key); untold != untold_.end()) {
        if (!now && before->version != version) {
            return {};  // An event of before our write; its own is still to come.
        }
        // Whoever wrote it looked at the world as it was before: this wakes them to look again.
        now = now ? std::move(now) : before->open();
        before = std::move(untold->second);
        untold_.erase(untold);
    }
    if (!now) {
        return {};
    }
    return {{open(before), std::move(now)}};
}

}  // namespace millrace::kube
