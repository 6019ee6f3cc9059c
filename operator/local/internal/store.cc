#include "operator/local/internal/store.h"

#include <algorithm>

#include "base/assert.h"

namespace millrace::local {

ObjectPtr Store::get(const ObjectKey& key) const {
    const auto found = objects_.find(key);
    return found == objects_.end() ? nullptr : found->second;
}

std::vector<ObjectPtr> Store::list(const std::string& storage, const std::string& space) const {
    std::vector<ObjectPtr> found;
    for (auto at = objects_.lower_bound({storage, space, ""});
         at != objects_.end() && at->first.storage == storage &&
         (space.empty() || at->first.space == space);
         ++at) {
        found.push_back(at->second);
    }
    return found;
}

ObjectPtr Store::put(const ObjectKey& key, Json object) {
    const ObjectPtr before = get(key);
    object["metadata"]["resourceVersion"] = std::to_string(++version_);
    auto stored = std::make_shared<const Json>(std::move(object));
    objects_[key] = stored;
    record({version_, before ? Change::Type::modified : Change::Type::added, key, stored, before});
    return stored;
}

ObjectPtr Store::remove(const ObjectKey& key) {
    const auto found = objects_.find(key);
    MR_ASSERT(found != objects_.end());
    const ObjectPtr before = found->second;
    objects_.erase(found);
    Json last = *before;
    last["metadata"]["resourceVersion"] = std::to_string(++version_);
    auto gone = std::make_shared<const Json>(std::move(last));
    record({version_, Change::Type::deleted, key, gone, before});
    return gone;
}

std::optional<std::vector<Change>> Store::since(std::uint64_t version) const {
    if (version < forgotten_) {
        return std::nullopt;
    }
    const auto from =
        std::upper_bound(history_.begin(), history_.end(), version,
                         [](std::uint64_t v, const Change& change) { return v < change.version; });
    return std::vector<Change>(from, history_.end());
}

void Store::restore(std::uint64_t version, const ObjectKey& key, ObjectPtr object) {
    version_ = std::max(version_, version);
    forgotten_ = version_;
    if (object) {
        objects_[key] = std::move(object);
    } else {
        objects_.erase(key);
    }
}

void Store::record(Change change) {
    history_.push_back(std::move(change));
    if (history_.size() > history_limit_) {
        forgotten_ = history_.front().version;
        history_.pop_front();
    }
    if (listener_) {
        const Change copy = history_.back();  // A listener may write, which moves the history.
        listener_(copy);
    }
}

}  // namespace millrace::local
