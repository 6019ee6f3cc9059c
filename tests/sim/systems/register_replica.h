// tests/sim/systems/register_replica.h
//
// One of the replicas of a register (ABD): keeps the newest value of each key it was told, answers
// queries, acknowledges stores once they are on disk. Accepts on its control loop, serves each
// connection on a data loop.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "runtime/node.h"
#include "tests/sim/systems/bugs.h"
#include "tests/sim/systems/register_store.h"
#include "tests/support/message_stream.h"

namespace millrace::simtest {

class RegisterReplica {
public:
    static constexpr std::uint16_t default_port = 7000;

    /// Opens its store in `directory`; failed() if that did not work.
    RegisterReplica(runtime::Node& node, std::string directory, Bug bug,
                    std::uint16_t port = default_port);

    /// It can do no more good: start it anew.
    bool failed() const { return failed_ || store_.has_failed(); }
    std::uint16_t port() const { return listener_ ? listener_->address().port : std::uint16_t{0}; }
    const RegisterStore::Values& values() const { return store_.values(); }

private:
    void adopt(runtime::StreamPtr stream);
    void on_message(std::uint64_t connection, const std::string& text);
    void reply(std::uint64_t connection, const Reply& reply);

    runtime::Shard shard_;
    RegisterStore store_;
    bool failed_ = false;
    std::unique_ptr<runtime::Listener> listener_;
    std::map<std::uint64_t, std::unique_ptr<support::MessageStream>> connections_;
    std::uint64_t next_connection_ = 1;
};

}  // namespace millrace::simtest
