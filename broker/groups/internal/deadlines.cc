#include "groups/internal/deadlines.h"

namespace millrace::groups {

void Deadlines::set(DeadlineKind kind, std::string_view group, std::string_view member, Instant at,
                    std::int64_t tag) {
    put({kind, group, member}, at, tag, at);
}

void Deadlines::defer(const Due& due, Instant at) {
    put({due.kind, due.group, due.member}, at, due.tag, due.first);
}

void Deadlines::put(const Less::View& key, Instant at, std::int64_t tag, Instant first) {
    const Entry entry{{at, ++sequence_}, tag, first};
    auto found = entries_.find(key);
    if (found == entries_.end()) {
        const auto& [kind, group, member] = key;
        found = entries_.emplace(Key{kind, std::string{group}, std::string{member}}, entry).first;
    } else {
        order_.erase(found->second.place);
        found->second = entry;
    }
    order_.emplace(entry.place, &found->first);
}

void Deadlines::set_if_absent(DeadlineKind kind, std::string_view group, std::string_view member,
                              Instant at, std::int64_t tag) {
    if (!entries_.contains(Less::View{kind, group, member})) {
        set(kind, group, member, at, tag);
    }
}

void Deadlines::cancel(DeadlineKind kind, std::string_view group, std::string_view member) {
    if (const auto found = entries_.find(Less::View{kind, group, member});
        found != entries_.end()) {
        order_.erase(found->second.place);
        entries_.erase(found);
    }
}

std::optional<Instant> Deadlines::find(DeadlineKind kind, std::string_view group,
                                       std::string_view member) const {
    const auto found = entries_.find(Less::View{kind, group, member});
    return found == entries_.end() ? std::nullopt : std::optional{found->second.place.at};
}

std::optional<Due> Deadlines::take(Instant now) {
    if (next() > now) {
        return std::nullopt;
    }
    const auto first = order_.begin();
    const auto found = entries_.find(Less::view(*first->second));
    Due due{found->first.kind, found->first.group, found->first.member,
            found->second.tag, first->first.at,    found->second.first};
    order_.erase(first);
    entries_.erase(found);
    return due;
}

}  // namespace millrace::groups
