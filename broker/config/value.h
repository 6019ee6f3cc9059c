// config/value.h
//
// Text to value and back, for one option, with Kafka's reading rules.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/config.h"

namespace millrace::config {

/// What DescribeConfigs shows of a value: lists joined with commas, numbers as Java prints them.
/// None for an unset value; a secret's text is never given.
std::optional<std::string> to_text(const Value& value);

/// "1048576 or more", "one of gzip, snappy": what the rule allows; empty if it allows anything.
std::string describe_rule(const Rule& rule);

/// Java's Double.toString().
std::string java_double(double value);

std::string_view type_name(Type type);
/// DescribeConfigs' number of a type.
std::int8_t kafka_type_number(Type type);

}  // namespace millrace::config
