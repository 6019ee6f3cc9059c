// runtime/real/internal/resolver.h
//
// Names to addresses off the loop, on a few threads of its own: the system's resolver blocks for
// seconds, and DiskPool's threads are not for that.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_function.h"
#include "runtime/executor.h"
#include "runtime/real/internal/socket_address.h"

namespace millrace::runtime::internal {

class Resolver {
public:
    using Addresses = std::vector<SocketAddress>;

    /// Runs it on a thread of its own, which nobody waits for; an error if there is none to have.
    using StartThread = Result<void> (*)(UniqueFunction<void()> work);

    explicit Resolver(unsigned threads, StartThread start = start_detached);
    /// Drops what waits. Does not wait for a thread inside a look-up: its answer goes nowhere.
    ~Resolver();

    /// From any thread. `done` runs on `home`. Code::exhausted if no thread looks names up and none
    /// can be started.
    void resolve(const Address& name, Executor& home, UniqueFunction<void(Result<Addresses>)> done);
    void stop();

private:
    static Result<void> start_detached(UniqueFunction<void()> work);

    struct State;
    std::shared_ptr<State> state_;
    const unsigned max_threads_;
    const StartThread start_;
};

}  // namespace millrace::runtime::internal
