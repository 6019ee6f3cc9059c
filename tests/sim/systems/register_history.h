// tests/sim/systems/register_history.h
//
// What clients of a register saw, and whether one register could have shown it (linearizability).
// Every write has a value of its own, which makes that quick to decide.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"

namespace millrace::simtest {

class RegisterHistory {
public:
    using Id = std::size_t;

    Id begin_write(const std::string& key, std::string value, Instant at);
    Id begin_read(const std::string& key, Instant at);
    /// An operation without an end may have happened at any time after its begin, or never.
    void end_write(Id id, Instant at);
    void end_read(Id id, std::string value, Instant at);

    std::size_t size() const { return operations_.size(); }
    std::size_t answered() const;

    /// Why no single register behaves like that; nothing if one does. A value never written reads
    /// as "" before any write.
    std::optional<std::string> violation() const;

private:
    struct Operation {
        std::string key;
        bool is_write = false;
        std::string value;
        Instant begun;
        Instant ended = Instant::never();
    };

    std::optional<std::string> violation_of(const std::string& key) const;

    std::vector<Operation> operations_;
};

}  // namespace millrace::simtest
