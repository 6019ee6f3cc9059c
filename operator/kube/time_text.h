// operator/kube/time_text.h
//
// Times as Kubernetes writes them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace millrace::kube {

std::string time_text(Timestamp at);                         ///< "2026-01-02T03:04:05Z"
std::optional<Timestamp> parse_time(std::string_view text);  ///< What time_text() wrote.
std::string micro_time_text(Timestamp at);                   ///< "2026-01-02T03:04:05.678000Z"

}  // namespace millrace::kube
