// operator/local/internal/scheduler.h
//
// Which node a pod goes to, and which address it has there. Pure over Resources.
#pragma once

#include "operator/local/internal/resources.h"

namespace millrace::local {

/// Addresses are kept per pod name, so that a broker that comes back has the same one.
inline constexpr const char* address_storage = "local-addresses";

void schedule_pods(Resources& resources);

}  // namespace millrace::local
