// operator/local/internal/probe.h
//
// One kubelet probe: its schedule and thresholds, and one attempt at a time over a non-blocking
// socket that the runner polls.
#pragma once

#include <chrono>
#include <string>

#include "operator/kube/json.h"

namespace millrace::local {

using SteadyTime = std::chrono::steady_clock::time_point;

class Probe {
public:
    /// `initial`: what holds before there was an answer. A spec of null always holds.
    Probe(const kube::Json& spec, const kube::Json& container, std::string address, bool initial);
    ~Probe();
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;

    bool exists() const { return exists_; }
    bool passing() const { return passing_; }
    bool failed() const { return failed_; }  ///< failureThreshold was reached in a row.

    void restart(SteadyTime now);  ///< The container was started.
    /// Begins an attempt that is due, reads one that is ready, gives up one that is late.
    void step(SteadyTime now);

    int descriptor() const { return socket_; }
    bool wants_write() const { return connecting_; }
    SteadyTime due() const;  ///< When step() has something to do, whatever the socket says.

private:
    void begin(SteadyTime now);
    void progress();
    void finish(bool success);

    bool exists_ = false;
    std::string address_;
    int port_ = 0;
    std::string request_;  ///< Empty: a connection is enough.
    std::chrono::seconds delay_{0};
    std::chrono::seconds period_{10};
    std::chrono::seconds timeout_{1};
    int failure_threshold_ = 3;
    int success_threshold_ = 1;

    const bool initial_;
    bool passing_;
    bool failed_ = false;
    int successes_ = 0;
    int failures_ = 0;
    int socket_ = -1;
    bool connecting_ = false;
    std::string answer_;
    SteadyTime next_;
    SteadyTime count_from_;  ///< Failures before it are not counted: see until_first_success.
    SteadyTime now_;
    SteadyTime deadline_;
};

}  // namespace millrace::local
