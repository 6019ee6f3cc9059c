// metadata/internal/topic_names.h
//
// Kafka's rules for a topic's name.
#pragma once

#include <string>
#include <string_view>

#include "metadata/internal/refusal.h"

namespace millrace::metadata {

/// Letters, digits, '.', '_' and '-', at most 249, neither "." nor "..".
MaybeRefusal check_topic_name(std::string_view name);

}  // namespace millrace::metadata
