// operator/kube/time_text.h
//
// Times as Kubernetes writes them.
#pragma once

#include <string>

#include "base/time.h"

namespace millrace::kube {

std::string time_text(Timestamp at);        ///< "2026-01-02T03:04:05Z"
std::string micro_time_text(Timestamp at);  ///< "2026-01-02T03:04:05.678000Z"

}  // namespace millrace::kube
