// operator/local/internal/server.h
//
// The API server's shell: the lock, the journal, open watches and logs. One keeper thread runs the
// controllers after changes and looks after the streams; requests run on cpprest's threads. All
// state is behind one lock, held for memory work and a write to the page cache only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "operator/local/internal/resources.h"

namespace millrace::local {

struct ServerOptions {
    std::filesystem::path dir;
    std::uint16_t port = 0;
    std::vector<Json> crds;
    RuleTable rules;
    std::vector<std::string> zones;
    Logger log;
};

class Server {
public:
    static Result<std::unique_ptr<Server>> start(ServerOptions options);
    virtual ~Server() = default;

    virtual std::string url() const = 0;
    virtual std::filesystem::path kubeconfig() const = 0;

    /// Runs `work` with the lock held. Not from within itself.
    virtual void locked(const std::function<void(Resources&)>& work) = 0;

    /// `wake` is called after each change of one of these kinds, from any thread and with the lock
    /// held: it wakes its owner and returns. Subscribers live as long as the server serves.
    virtual void wake_on(std::set<std::string, std::less<>> storages,
                         std::function<void()> wake) = 0;

    /// Volumes that were deleted, with their data, since the last call.
    virtual std::vector<std::string> take_deleted_volumes() = 0;

    /// Everything is on the disk, and whoever asks from now on is refused.
    virtual void stop() = 0;
};

/// Where the runner writes what a container says, by the number of its start.
std::filesystem::path container_log(const std::filesystem::path& dir, const Json& pod,
                                    const std::string& container, std::int64_t start);

}  // namespace millrace::local
