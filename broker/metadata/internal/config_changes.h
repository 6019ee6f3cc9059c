// metadata/internal/config_changes.h
//
// ConfigRecords, and what must come with them.
#pragma once

#include <optional>
#include <string_view>

#include "config/alter.h"
#include "metadata/controller_core.h"
#include "metadata/internal/refusal.h"

namespace millrace::metadata {

/// Kafka's code and config's sentence, if it refused.
MaybeRefusal as_refusal(const config::Altered& altered);

void add_config(Draft& draft, const ConfigResource& resource, std::string_view name,
                std::optional<std::string_view> value);

/// With ELR, min.insync.replicas is a matter of the cluster and of topics: the cluster has a value
/// of its own and brokers have none, or two brokers could differ on who is an eligible leader.
void settle_min_isr_for_elr(Draft& draft, const ControllerOptions& options);

}  // namespace millrace::metadata
