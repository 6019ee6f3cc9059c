// operator/kube/event_recorder.h
//
// Events that `kubectl describe` shows under an object. What was done is told when it was done, and
// counted up on the same event when it is done again; what lasts is told once in ten minutes.
// Written by a thread of its own, so that nobody waits for it; what can't be written is dropped,
// since events are no record.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/time.h"
#include "operator/kube/api.h"

namespace millrace::kube {

enum class EventType { normal, warning };

/// Which news is an event of its own and which only counts an earlier one up. Pure.
class EventTally {
public:
    /// An event that stands already, and what it says now.
    struct Counted {
        std::string same;
        ObjectKey event;
        int count = 0;
        Timestamp last;
    };

    /// Whether an event is to be made; a repetition is told by due().
    bool is_news(const std::string& same, const ObjectKey& event, EventType type, Instant now,
                 Timestamp wall);
    /// What was repeated and is to be written now; a stream of repetitions costs a write in ten
    /// seconds.
    std::vector<Counted> due(Instant now);
    std::optional<Instant> next_due() const;
    /// It could not be counted up: the next one is news.
    void forget(const std::string& same) { told_.erase(same); }

private:
    struct Told {
        Instant last_told;
        Instant last_written;
        Counted counted;
        bool is_repeated = false;
    };
    std::map<std::string, Told> told_;
};

class EventRecorder {
public:
    static std::unique_ptr<EventRecorder> start(std::shared_ptr<Api> api, const Clock& clock,
                                                std::string instance, Logger log);
    virtual ~EventRecorder() = default;

    /// `about` needs apiVersion, kind and metadata. `reason` is one word in CamelCase.
    virtual void note(const Json& about, EventType type, const std::string& reason,
                      const std::string& message) = 0;
};

/// The object of one event.
Json event_object(const Json& about, EventType type, const std::string& reason,
                  const std::string& message, const std::string& instance, Timestamp at);

}  // namespace millrace::kube
