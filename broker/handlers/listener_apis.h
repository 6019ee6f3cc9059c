// handlers/listener_apis.h
//
// What each kind of listener serves, made once.
#pragma once

#include <vector>

#include "handlers/dispatch.h"

namespace millrace::handlers {

/// Ascending by API key.
const std::vector<Route>& routes_of(ListenerKind kind);

}  // namespace millrace::handlers
