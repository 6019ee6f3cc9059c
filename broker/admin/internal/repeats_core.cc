#include "admin/internal/repeats_core.h"

#include <functional>

#include "base/assert.h"

namespace millrace::admin {

RepeatsCore::Decision RepeatsCore::begin(const std::string& key, const std::string& request,
                                         Instant now) {
    drop_old(now);
    const std::size_t hash = std::hash<std::string>{}(request);
    const auto found = entries_.find(key);
    if (found != entries_.end()) {
        const Entry& entry = found->second;
        if (entry.request_hash != hash || entry.request_size != request.size()) {
            return {Verdict::different};
        }
        return entry.answer ? Decision{Verdict::repeated, &*entry.answer}
                            : Decision{Verdict::under_way};
    }
    if (entries_.size() >= most_keys_) {
        if (finished_.empty()) {
            return {Verdict::full};
        }
        drop_oldest();
    }
    entries_.emplace(key, Entry{hash, request.size(), std::nullopt});
    return {Verdict::first};
}

void RepeatsCore::finish(const std::string& key, Answer answer, Instant now) {
    const auto found = entries_.find(key);
    MR_ASSERT(found != entries_.end() && !found->second.answer);
    found->second.answer = std::move(answer);
    finished_.emplace_back(now, key);
}

void RepeatsCore::forget(const std::string& key) {
    const auto found = entries_.find(key);
    MR_ASSERT(found != entries_.end() && !found->second.answer);
    entries_.erase(found);
}

void RepeatsCore::drop_old(Instant now) {
    while (!finished_.empty() && now - finished_.front().first >= keep_) {
        drop_oldest();
    }
}

void RepeatsCore::drop_oldest() {
    entries_.erase(finished_.front().second);
    finished_.pop_front();
}

}  // namespace millrace::admin
