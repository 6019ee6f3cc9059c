// tests/sim/systems/register_client.h
//
// A client of the replicated register (ABD): a write asks a majority for the newest stamp and
// stores a newer one on a majority; a read stores what it saw on a majority before it answers, so
// that no later read sees something older. One operation at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/node.h"
#include "tests/sim/systems/bugs.h"
#include "tests/sim/systems/register_messages.h"
#include "tests/support/message_stream.h"

namespace millrace::simtest {

class RegisterClient {
public:
    /// The value read, or written; nothing if time ran out: a write may still take effect.
    using Done = UniqueFunction<void(std::optional<std::string>)>;

    RegisterClient(runtime::Node& node, std::vector<runtime::Address> replicas, Bug bug);
    ~RegisterClient();

    void read(std::string key, Duration limit, Done done);
    void write(std::string key, std::string value, Duration limit, Done done);

private:
    struct Operation;

    void begin(std::string key, std::optional<std::string> to_write, Duration limit, Done done);
    void begin_phase();
    void ask_everybody();
    void enough_answers();
    Stamp newer_than(const Stamp& stamp);
    void finish(std::optional<std::string> outcome);
    std::size_t quorum() const;

    void connect(std::size_t replica);
    void connect_later(std::size_t replica);
    void send(std::size_t replica);
    void on_message(std::size_t replica, const std::string& text);

    runtime::Shard shard_;
    const std::vector<runtime::Address> replicas_;
    const Bug bug_;
    std::vector<std::unique_ptr<support::MessageStream>> streams_;
    std::unique_ptr<Operation> operation_;  ///< Null: idle.
    std::uint64_t next_request_ = 1;
    std::uint64_t answers_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace millrace::simtest
