// metadata/bootstrap_file.h
//
// `bootstrap.checkpoint`: what Apache Kafka's `kafka-storage format` leaves in a metadata directory
// for the first controller to begin with. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace millrace::metadata {

inline constexpr std::string_view bootstrap_file_name = "bootstrap.checkpoint";

/// The level of every feature, 0 of those that the file leaves out, for
/// ControllerOptions::bootstrap_features. Code::unsupported: levels that this build doesn't run.
Result<std::map<std::string, std::int16_t, std::less<>>> bootstrap_file_features(ByteView file);

}  // namespace millrace::metadata
