#include "operator/kube/event_recorder.h"

#include <condition_variable>
#include <deque>
#include <fmt/core.h>
#include <mutex>
#include <thread>

#include "operator/kube/time_text.h"

namespace millrace::kube {

namespace {

constexpr std::size_t most_waiting = 1000;
constexpr std::size_t longest_message = 1024;  // The API server refuses more.
constexpr Duration remembered = 600s;
constexpr Duration between_counts = 10s;

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
        if (waiting_.size() >= most_waiting) {
            return;
        }
        const std::string same = about["metadata"]["uid"].text() + "\n" + reason + "\n" + message;
        const Timestamp wall = clock_.wall();
        Json event = event_object(about, type, reason, message, instance_, wall);
        const Json& metadata = event["metadata"];
        const ObjectKey key{metadata["namespace"].text(), metadata["name"].text()};
        if (tally_.is_news(same, key, type, clock_.now(), wall)) {
            waiting_.push_back({same, std::move(event)});
        }
        wake_.notify_all();
    }

private:
    struct News {
        std::string same;
        Json event;
    };

    void run() {
        std::unique_lock lock(mutex_);
        while (!stopping_) {
            if (!waiting_.empty()) {
                const News news = std::move(waiting_.front());
                waiting_.pop_front();
                lock.unlock();
                create(news);
                lock.lock();
                continue;
            }
            const auto counted = tally_.due(clock_.now());
            if (!counted.empty()) {
                lock.unlock();
                for (const EventTally::Counted& one : counted) {
                    count_up(one);
                }
                lock.lock();
                continue;
            }
            const auto next = tally_.next_due();
            if (next) {
                wake_.wait_for(lock, *next - clock_.now());
            } else {
                wake_.wait(lock);
            }
        }
    }

    void create(const News& news) {
        if (const auto written = api_->create(events, news.event); !written) {
            drop(news.same, written.error());
        }
    }

    void count_up(const EventTally::Counted& one) {
        const Json patch =
            Json::object({{"count", one.count}, {"lastTimestamp", time_text(one.last)}});
        if (const auto written = api_->merge(events, one.event, patch); !written) {
            drop(one.same, written.error());
        }
    }

    void drop(const std::string& same, const Error& error) {
        MR_LOG(log_, info, "kube.event_dropped", field("reason", error.message()));
        const std::lock_guard lock(mutex_);
        tally_.forget(same);
    }

    const std::shared_ptr<Api> api_;
    const Clock& clock_;
    const std::string instance_;
    const Logger log_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<News> waiting_;
    EventTally tally_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace

bool EventTally::is_news(const std::string& same, const ObjectKey& event, EventType type,
                         Instant now, Timestamp wall) {
    std::erase_if(told_, [&](const auto& one) { return now - one.second.last_told > remembered; });
    const auto [at, is_new] = told_.try_emplace(same, Told{now, now, {same, event, 1, wall}});
    if (!is_new && type == EventType::normal) {
        Told& told = at->second;
        told.last_told = now;
        ++told.counted.count;
        told.counted.last = wall;
        told.is_repeated = true;
    }
    return is_new;
}

std::vector<EventTally::Counted> EventTally::due(Instant now) {
    std::vector<Counted> counted;
    for (auto& [same, told] : told_) {
        if (told.is_repeated && now - told.last_written >= between_counts) {
            told.is_repeated = false;
            told.last_written = now;
            counted.push_back(told.counted);
        }
    }
    return counted;
}

std::optional<Instant> EventTally::next_due() const {
    std::optional<Instant> next;
    for (const auto& [same, told] : told_) {
        const Instant at = told.last_written + between_counts;
        if (told.is_repeated && (!next || at < *next)) {
            next = at;
        }
    }
    return next;
}

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
