// app/internal/directory_reports.h
//
// Tells the controller in which of this broker's directories a replica lies, where the metadata
// says something else (AssignReplicasToDirs). Gathers what comes together and goes on until it is
// heard.
#pragma once

#include <memory>

#include "app/internal/controller_link.h"
#include "app/internal/lifecycle.h"
#include "base/log.h"

namespace millrace::app {

class DirectoryReports {
public:
    DirectoryReports(BrokerId self, runtime::Executor& control, ControllerLink& controller,
                     const Lifecycle& lifecycle, const Logger& log);
    ~DirectoryReports();

    /// From any thread.
    void report(const TopicIdPartition& id, Uuid directory);

private:
    struct Inside;
    std::shared_ptr<Inside> inside_;
};

}  // namespace millrace::app
