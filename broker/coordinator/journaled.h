// coordinator/journaled.h
//
// Changes of a state machine's data that a Journal can take back. The owner outlives the journal's
// entries (the runtime drops them before the machine).
#pragma once

#include <utility>

#include "coordinator/state_machine.h"

namespace millrace::coordinator {

/// Sets a field.
template <typename T, typename U>
void assign(Journal& journal, T& field, U&& value) {
    if (journal.keeps()) {
        journal.undo_with([&field, old = std::move(field)]() mutable { field = std::move(old); });
    }
    field = std::forward<U>(value);
}

/// Sets map[key]; returns whether the key was there.
template <typename Map, typename Value>
bool put(Journal& journal, Map& map, const typename Map::key_type& key, Value&& value) {
    auto found = map.find(key);
    if (found == map.end()) {
        map.emplace(key, std::forward<Value>(value));
        if (journal.keeps()) {
            journal.undo_with([&map, key] { map.erase(key); });
        }
        return false;
    }
    if (journal.keeps()) {
        journal.undo_with([&map, key, old = std::move(found->second)]() mutable {
            map.insert_or_assign(key, std::move(old));
        });
    }
    found->second = std::forward<Value>(value);
    return true;
}

/// Removes a key; returns whether it was there.
template <typename Map, typename Key>
bool erase(Journal& journal, Map& map, const Key& key) {
    auto found = map.find(key);
    if (found == map.end()) {
        return false;
    }
    if (journal.keeps()) {
        // The node goes back as it was: references into it stay good.
        journal.undo_with(
            [&map, node = map.extract(found)]() mutable { map.insert(std::move(node)); });
    } else {
        map.erase(found);
    }
    return true;
}

}  // namespace millrace::coordinator
