// tests/sim/systems/register_store.h
//
// A replica's values on disk: a snapshot and a log of what came since, each record behind a
// checksum. What put() acknowledged survives whatever a disk may do short of losing synced bytes.
// After any failure the store is useless until it is opened anew.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/node.h"
#include "tests/sim/systems/bugs.h"
#include "tests/sim/systems/register_messages.h"

namespace millrace::simtest {

class RegisterStore {
public:
    using Values = std::map<std::string, Versioned>;

    RegisterStore(runtime::Node& node, runtime::Executor& loop, std::string directory, Bug bug);
    ~RegisterStore();

    /// Reads back what is there and writes it anew: what was read may have been only in the cache.
    /// Blocks; at start.
    Result<void> open();

    const Values& values() const { return values_; }
    /// `done` when the value, or a newer one of that key, is on the device; never after a failure.
    void put(const std::string& key, Versioned versioned, UniqueFunction<void()> done);

    bool has_failed() const { return failed_; }

private:
    struct Shared;

    Result<void> read_back();
    Result<void> write_snapshot();
    Result<void> empty_log();
    void append(const std::string& key, const Versioned& versioned);
    void start_sync();
    void synced(bool succeeded);
    void compact();
    void absorb(const std::string& key, Versioned versioned);
    std::string snapshot_path() const { return directory_ + "/snapshot"; }
    std::string log_path() const { return directory_ + "/log"; }

    runtime::Node& node_;
    runtime::Executor& loop_;
    const std::string directory_;
    const Bug bug_;
    Values values_;
    runtime::FilePtr log_;
    std::uint64_t log_end_ = 0;
    bool failed_ = false;
    bool syncing_ = false;
    std::vector<UniqueFunction<void()>> waiting_;  ///< For the next sync.
    std::vector<UniqueFunction<void()>> in_sync_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace millrace::simtest
