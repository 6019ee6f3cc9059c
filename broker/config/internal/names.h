// config/internal/names.h
#pragma once

#include <string_view>

#include "config/option.h"

namespace millrace::config {

/// The broker option that a name stands for, which may carry a listener's and a mechanism's prefix:
/// listener.name.internal.scram-sha-256.sasl.jaas.config. nullptr if no table has it.
const Option* broker_option_behind(std::string_view name);

}  // namespace millrace::config
