#include "operator/kube/event_recorder.h"

#include <condition_variable>
#include <deque>
#include <fmt/core.h>
#include <map>
#include <mutex>
#include <thread>

#include "operator/kube/time_text.h"

namespace millrace::kube {

namespace {

constexpr std::size_t most_waiting = 1000;
constexpr std::size_t longest_message = 1024;  // The API server refuses more.
constexpr Duration not_again_within = 600s;

class RealRecorder final : public EventRecorder {
public:
    RealRecorder(std::shared_ptr<Api> api, const Clock& clock, std::string instance, Logger log)
        : api_(std::move(api)),
          clock_(clock),
          instance_(std::move(instance)),
          log_(std::move(log)),
          thread_([this] { run(); }) {}

    ~RealRecorder() override {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_all();
        thread_.join();
    }

    void note(const Json& about, EventType type, const std::string& reason,
              const std::string& message) override {
        const std::lock_guard lock(mutex_);
        const Instant now = clock_.now();
        std::erase_if(told_, [&](const auto& one) { return now - one.second > not_again_within; });
        const std::string same = about["metadata"]["uid"].text() + "\n" + reason + "\n" + message;
        if (waiting_.size() >= most_waiting || !told_.emplace(same, now).second) {
            return;
        }
        waiting_.push_back(event_object(about, type, reason, message, instance_, clock_.wall()));
        wake_.notify_all();
    }

private:
    void run() {
        std::unique_lock lock(mutex_);
        for (;;) {
            wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
            if (stopping_) {
                return;
            }
            const Json event = std::move(waiting_.front());
            waiting_.pop_front();
            lock.unlock();
            if (const auto written = api_->create(events, event); !written) {
                MR_LOG(log_, info, "kube.event_dropped",
                       field("reason", written.error().message()));
            }
            lock.lock();
        }
    }

    const std::shared_ptr<Api> api_;
    const Clock& clock_;
    const std::string instance_;
    const Logger log_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Json> waiting_;
    std::map<std::string, Instant> told_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace

Json event_object(const Json& about, EventType type, const std::string& reason,
                  const std::string& message, const std::string& instance, Timestamp at) {
    const Json& metadata = about["metadata"];
    const std::string space = metadata["namespace"].text_or("default");
    const auto hash = std::hash<std::string>{}(metadata["uid"].text() + reason + message);
    Json involved = Json::object({{"apiVersion", about["apiVersion"]},
                                  {"kind", about["kind"]},
                                  {"name", metadata["name"]},
                                  {"namespace", metadata["namespace"]},
                                  {"uid", metadata["uid"]}});
    Json event = Json::object({{"apiVersion", "v1"}, {"kind", "Event"}});
    event["metadata"] =
        Json::object({{"name", fmt::format("{}.{:016x}", metadata["name"].text(),
                                           hash ^ static_cast<std::uint64_t>(at.milliseconds))},
                      {"namespace", space}});
    event["involvedObject"] = std::move(involved);
    event["type"] = type == EventType::normal ? "Normal" : "Warning";
    event["reason"] = reason;
    event["message"] = message.substr(0, longest_message);
    event["source"] = Json::object({{"component", "millrace-operator"}});
    event["reportingComponent"] = "millrace.dev/operator";
    event["reportingInstance"] = instance;
    event["firstTimestamp"] = time_text(at);
    event["lastTimestamp"] = time_text(at);
    event["count"] = 1;
    return event;
}

std::unique_ptr<EventRecorder> EventRecorder::start(std::shared_ptr<Api> api, const Clock& clock,
                                                    std::string instance, Logger log) {
    return std::make_unique<RealRecorder>(std::move(api), clock, std::move(instance),
                                          std::move(log));
}

}  // namespace millrace::kube
