#include "tests/sim/systems/register_replica.h"

#include <utility>

namespace millrace::simtest {

RegisterReplica::RegisterReplica(runtime::Node& node, std::string directory, Bug bug,
                                 std::uint16_t port)
    : shard_(node.data_shard(0)), store_(node, *shard_.executor, std::move(directory), bug) {
    if (!store_.open()) {
        failed_ = true;
        return;
    }
    auto listener = node.control_shard().net->listen({"", port}, [this](runtime::StreamPtr s) {
        shard_.executor->post([this, s = std::move(s)]() mutable { adopt(std::move(s)); });
    });
    if (!listener) {
        failed_ = true;
        return;
    }
    listener_ = *std::move(listener);
}

void RegisterReplica::adopt(runtime::StreamPtr stream) {
    const std::uint64_t number = next_connection_++;
    connections_[number] = std::make_unique<support::MessageStream>(
        shard_.net->adopt(std::move(stream)),
        [this, number](std::string text) { on_message(number, text); },
        [this, number](std::string) { connections_.erase(number); });
}

void RegisterReplica::on_message(std::uint64_t connection, const std::string& text) {
    const auto request = from_text<Request>(text);
    if (failed() || !request) {
        connections_.erase(connection);
        return;
    }
    if (!request->is_store) {
        const auto found = store_.values().find(request->key);
        const Versioned newest = found == store_.values().end() ? Versioned{} : found->second;
        reply(connection, {request->id, false, request->key, newest});
        return;
    }
    store_.put(request->key, request->versioned, [this, connection, request = *request] {
        reply(connection, {request.id, true, request.key, {}});
    });
}

void RegisterReplica::reply(std::uint64_t connection, const Reply& reply) {
    const auto found = connections_.find(connection);
    if (found != connections_.end()) {
        found->second->send(to_text(reply));
    }
}

}  // namespace millrace::simtest
