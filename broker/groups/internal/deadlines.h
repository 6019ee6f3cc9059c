// groups/internal/deadlines.h
//
// When to look at what. One deadline per key; setting a key again moves it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "base/time.h"

namespace millrace::groups {

enum class DeadlineKind : std::uint8_t {
    classic_session,     ///< A member's heartbeat (or a pending member's join) is overdue.
    classic_join,        ///< The join phase of a group ends, whoever is there.
    classic_initial,     ///< The first rebalance of a group may start.
    classic_sync,        ///< Members that didn't sync leave.
    classic_rejoin,      ///< An assignment could not be stored: rebalance.
    consumer_session,    ///< A member's heartbeat is overdue.
    consumer_rebalance,  ///< A member didn't revoke in time.
    consumer_join,       ///< A classic member of a consumer group didn't rejoin in time.
    consumer_sync,       ///< ... didn't sync in time.
    housekeeping,        ///< Expire offsets and groups.
};

struct Due {
    DeadlineKind kind;
    std::string group;
    std::string member;
    std::int64_t tag;  ///< What the setter wanted to remember (an epoch, time left).
    Instant at;
    Instant first;  ///< When it was due before anybody deferred it.
};

class Deadlines {
public:
    void set(DeadlineKind kind, std::string_view group, std::string_view member, Instant at,
             std::int64_t tag = 0);
    /// Leaves one that is already set alone.
    void set_if_absent(DeadlineKind kind, std::string_view group, std::string_view member,
                       Instant at, std::int64_t tag = 0);
    /// Looks again later at what take() gave.
    void defer(const Due& due, Instant at);
    void cancel(DeadlineKind kind, std::string_view group, std::string_view member = {});

    std::optional<Instant> find(DeadlineKind kind, std::string_view group,
                                std::string_view member) const;
    Instant next() const { return order_.empty() ? Instant::never() : order_.begin()->first.at; }
    /// Takes the earliest one if it is due.
    std::optional<Due> take(Instant now);
    std::size_t size() const { return entries_.size(); }

private:
    struct Key {
        DeadlineKind kind;
        std::string group;
        std::string member;
    };
    struct Less {
        using is_transparent = void;
        using View = std::tuple<DeadlineKind, std::string_view, std::string_view>;
        static View view(const Key& key) { return {key.kind, key.group, key.member}; }
        static View view(const View& key) { return key; }
        template <typename A, typename B>
        bool operator()(const A& a, const B& b) const {
            return view(a) < view(b);
        }
    };
    struct Place {  ///< In time, and among equals by when it was set.
        Instant at;
        std::uint64_t sequence;
        friend auto operator<=>(const Place&, const Place&) = default;
    };
    struct Entry {
        Place place;
        std::int64_t tag;
        Instant first;
    };

    void put(const Less::View& key, Instant at, std::int64_t tag, Instant first);

    std::map<Key, Entry, Less> entries_;
    std::map<Place, const Key*> order_;
    std::uint64_t sequence_ = 0;
};

}  // namespace millrace::groups
