// net/internal/shares.h
//
// Who may hold how much of the ledger, so that no crowd can use it up for others: what is still to
// come leaves as much again free, a request that is there finds room for what it may become, and
// what is made of it and a peer's unread answers get a share of what is left, which shrinks as they
// grow.
#pragma once

#include <algorithm>
#include <cstdint>

#include "net/ledger.h"

namespace millrace::net {

inline std::int64_t left_of(const Ledger& ledger) {
    return ledger.limit() - ledger.used();
}

/// For bytes that are still to come: as much again stays free, or an eighth of all.
inline Reservation reserve_ahead(Ledger& ledger, std::int64_t bytes) {
    const std::int64_t room = bytes + std::min(bytes, ledger.limit() / 8);
    return ledger.used() == 0 || room <= left_of(ledger) ? Reservation::try_make(ledger, bytes)
                                                         : Reservation();
}

/// For a request that is there: what it may become once it is decoded (protocol/reader.h) has room
/// too, as far as a sixteenth of all. So the larger ones wait before small ones must.
inline Reservation reserve_whole(Ledger& ledger, std::int64_t bytes) {
    const std::int64_t decoded = std::min(32 * bytes + (64 << 10), ledger.limit() / 16);
    return ledger.used() == 0 || bytes + decoded <= left_of(ledger)
               ? Reservation::try_make(ledger, bytes)
               : Reservation();
}

/// For bytes that are there already, or (negative) have gone: they can't be refused, others wait.
inline void hold_anyway(Ledger& ledger, std::int64_t bytes) {
    ledger.release(-bytes);
}

/// Time to part with those who hold much and take or give little.
inline bool is_short(const Ledger& ledger) {
    return left_of(ledger) < ledger.limit() / 4;
}

/// Not worth a word, however short memory is.
constexpr std::int64_t little = 64 << 10;

/// Others may soon want what is held for no more than comfort.
inline bool is_in_use(const Ledger& ledger) {
    return left_of(ledger) < ledger.limit() / 4 * 3;
}

/// What one peer may leave unread before no further request of it is taken.
inline std::int64_t share_of_unread(const Ledger& ledger) {
    return std::max(little, left_of(ledger) / 16);
}

/// What the answer to one request may take.
inline std::int64_t share_of_answer(const Ledger& ledger) {
    return std::max(ledger.limit() / 16, left_of(ledger) / 4);
}

/// What may be made of one request and held until it is answered.
inline std::int64_t share_of_held(const Ledger& ledger) {
    return std::max(4 * little, left_of(ledger) / 8);
}

}  // namespace millrace::net
