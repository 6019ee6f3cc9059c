// handlers/auto_create.h
//
// Topics made on first use: those that clients ask for (auto.create.topics.enable) and the
// coordinators' own. Fire and forget: whoever needed the topic was told "not yet" and comes again.
#pragma once

#include <set>
#include <string>

#include "handlers/doors.h"

namespace millrace::handlers {

/// auto.create.topics.enable
bool creates_topics(const Doors& doors);

void auto_create(const Doors& doors, const std::set<std::string>& topics,
                 const Principal& principal, runtime::Executor& home);

}  // namespace millrace::handlers
