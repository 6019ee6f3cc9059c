// operator/local/internal/container_run.h
//
// One container's life: what it is doing, when it is started again, what its status says. Pure but
// for the probes' sockets; time is an input.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "operator/local/internal/probe.h"
#include "operator/local/internal/process.h"

namespace millrace::local {

class ContainerRun {
public:
    /// `status`: what the pod's status says about an earlier life; null if there was none.
    ContainerRun(const kube::Json& pod, const kube::Json& container, const kube::Json& status);

    const kube::Json& spec() const { return spec_; }
    const std::string& name() const { return name_; }
    bool running() const { return process_.pid >= 0; }
    bool finished() const { return finished_; }  ///< Ended, and not to be started again.
    std::int64_t starts() const { return restarts_; }
    Process& process() { return process_; }

    bool may_start(SteadyTime now) const { return !running() && !finished_ && now >= not_before_; }
    SteadyTime next_deadline() const;

    void wait(std::string reason, std::string message);
    void started(Process process, SteadyTime now, const std::string& wall);
    void ended(const ProcessEnd& end, std::string message, SteadyTime now, const std::string& wall,
               const std::string& restart_policy);
    /// Steps the probes; true if the container must be killed because it isn't alive.
    bool probe(SteadyTime now);
    void each_probe(const std::function<void(Probe&)>& visit);

    bool ready() const;
    kube::Json status() const;

private:
    void remember_end();

    const kube::Json spec_;
    const std::string name_;
    Process process_;
    bool finished_ = false;
    bool ever_started_ = false;
    bool killed_by_probe_ = false;
    bool has_failed_ = false;  ///< Since it last ran well.
    std::int64_t restarts_ = 0;
    kube::Json state_;
    kube::Json last_state_;
    SteadyTime started_at_;
    SteadyTime not_before_;
    std::chrono::milliseconds back_off_{0};
    std::unique_ptr<Probe> startup_;
    std::unique_ptr<Probe> readiness_;
    std::unique_ptr<Probe> liveness_;
};

}  // namespace millrace::local
