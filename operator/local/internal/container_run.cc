#include "operator/local/internal/container_run.h"

#include <algorithm>
#include <fmt/core.h>

namespace millrace::local {

using kube::Json;

namespace {

constexpr auto first_back_off = std::chrono::milliseconds(1000);
constexpr auto longest_back_off = std::chrono::milliseconds(30000);
constexpr auto good_run = std::chrono::seconds(60);

std::string end_reason(const ProcessEnd& end) {
    return end.exit_code == 0 ? "Completed" : "Error";
}

}  // namespace

ContainerRun::ContainerRun(const Json& pod, const Json& container, const Json& status)
    : spec_(container), name_(container["name"].text()) {
    const std::string& address = pod["status"]["podIP"].text();
    startup_ = std::make_unique<Probe>(container["startupProbe"], container, address, false);
    readiness_ = std::make_unique<Probe>(container["readinessProbe"], container, address, false);
    liveness_ = std::make_unique<Probe>(container["livenessProbe"], container, address, true);
    restarts_ = status["restartCount"].integer();
    last_state_ = status["lastState"];
    if (status["state"].has("running") || status["state"].has("terminated")) {
        // It ran under an earlier process of this program and ended with it: no fault of its own.
        ever_started_ = true;
        last_state_ = Json::object(
            {{"terminated",
              Json::object({{"exitCode", 0},
                            {"reason", "Completed"},
                            {"message", "local mode was stopped"},
                            {"startedAt", status["state"]["running"]["startedAt"]}})}});
    }
    wait("ContainerCreating", "");
}

SteadyTime ContainerRun::next_deadline() const {
    if (finished_) {
        return SteadyTime::max();
    }
    if (!running()) {
        return not_before_;
    }
    if (!startup_->passing()) {
        return startup_->due();
    }
    return std::min(readiness_->due(), liveness_->due());
}

void ContainerRun::remember_end() {
    if (state_.has("terminated")) {
        last_state_ = std::move(state_);
    }
}

void ContainerRun::wait(std::string reason, std::string message) {
    remember_end();
    Json waiting = Json::object({{"reason", std::move(reason)}});
    if (!message.empty()) {
        waiting["message"] = std::move(message);
    }
    state_ = Json::object({{"waiting", std::move(waiting)}});
}

void ContainerRun::started(Process process, SteadyTime now, const std::string& wall) {
    if (ever_started_) {
        ++restarts_;
    }
    ever_started_ = true;
    remember_end();
    process_ = process;
    started_at_ = now;
    killed_by_probe_ = false;
    state_ = Json::object({{"running", Json::object({{"startedAt", wall}})}});
    each_probe([now](Probe& probe) { probe.restart(now); });
}

void ContainerRun::ended(const ProcessEnd& end, std::string message, SteadyTime now,
                         const std::string& wall, const std::string& restart_policy) {
    Json terminated = Json::object({{"exitCode", end.exit_code},
                                    {"reason", end_reason(end)},
                                    {"startedAt", state_["running"]["startedAt"]},
                                    {"finishedAt", wall}});
    if (end.signal != 0) {
        terminated["signal"] = end.signal;
    }
    if (!message.empty()) {
        terminated["message"] = std::move(message);
    }
    state_ = Json::object({{"terminated", terminated}});
    const bool again =
        restart_policy == "Always" || (restart_policy == "OnFailure" && end.exit_code != 0);
    if (!again) {
        finished_ = true;
        last_state_ = Json::object({});
        return;
    }
    const bool ran_well = now - started_at_ >= good_run;
    if (!has_failed_ || ran_well) {  // As a kubelet: at once, the first time.
        has_failed_ = true;
        back_off_ = std::chrono::milliseconds(0);
        not_before_ = now;
        return;
    }
    back_off_ = std::clamp(back_off_ * 2, first_back_off, longest_back_off);
    not_before_ = now + back_off_;
    wait("CrashLoopBackOff", fmt::format("back-off {}s restarting failed container={}",
                                         back_off_.count() / 1000, name_));
}

bool ContainerRun::probe(SteadyTime now) {
    if (!running()) {
        return false;
    }
    if (!startup_->passing()) {
        startup_->step(now);
    } else {
        readiness_->step(now);
        liveness_->step(now);
    }
    const bool dead = startup_->failed() || liveness_->failed();
    return dead && !std::exchange(killed_by_probe_, dead);
}

void ContainerRun::each_probe(const std::function<void(Probe&)>& visit) {
    for (Probe* probe : {startup_.get(), readiness_.get(), liveness_.get()}) {
        visit(*probe);
    }
}

bool ContainerRun::ready() const {
    return running() && startup_->passing() && readiness_->passing();
}

Json ContainerRun::status() const {
    return Json::object({{"name", name_},
                         {"image", spec_["image"].text()},
                         {"imageID", ""},
                         {"ready", ready()},
                         {"started", running() && startup_->passing()},
                         {"restartCount", restarts_},
                         {"state", state_},
                         {"lastState", last_state_.is_object() ? last_state_ : Json::object({})}});
}

}  // namespace millrace::local
