// operator/kube/event_recorder.h
//
// Events that `kubectl describe` shows under an object. What was done is told once, when it was
// done; a repetition within ten minutes is not. Written by a thread of its own, so that nobody
// waits for it; what can't be written is dropped, since events are no record.
#pragma once

#include <memory>
#include <string>

#include "base/log.h"
#include "base/time.h"
#include "operator/kube/api.h"

namespace millrace::kube {

enum class EventType { normal, warning };

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
