// operator/local/internal/runner.h
//
// The kubelet's place: every pod that is bound to a node becomes a process of the broker program.
// One thread of its own starts, probes and reaps (processes die with the thread that forked them).
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>

#include "base/log.h"
#include "base/result.h"
#include "operator/local/internal/server.h"

namespace millrace::local {

class Runner {
public:
    struct Options {
        std::filesystem::path dir;
        std::filesystem::path program;
        Logger log;
    };

    static std::unique_ptr<Runner> start(Server& server, Options options);
    virtual ~Runner() = default;

    /// Asks every process to end, kills those that are still there after their grace period or
    /// `at_most`. Pods stay as they are: they are started again with the next run.
    virtual void stop(std::chrono::milliseconds at_most) = 0;
};

}  // namespace millrace::local
