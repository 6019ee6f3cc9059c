// config/options.h
//
// The keys of every option, made from the tables: broker_option::log_segment_bytes,
// topic_option::retention_ms, group_option::consumer_session_timeout_ms. The identifier is the
// option's name with '_' for '.' and '-'. Only app reads values by these; rooms take small structs
// that app fills.
#pragma once

#include "config/option.h"

namespace millrace::config {

namespace rows {
#define MR_OPTION(id, type, ...) id,
enum class Broker : std::uint16_t {
#include "config/broker_options.inc"
};
enum class Topic : std::uint16_t {
#include "config/topic_options.inc"
};
enum class Group : std::uint16_t {
#include "config/group_options.def"
};
enum class ClientMetrics : std::uint16_t {
#include "config/client_metrics_options.def"
};
#undef MR_OPTION
}  // namespace rows

namespace broker_option {
#define MR_OPTION(id, type_, ...)                        \
    inline constexpr Key<Scope::broker, Type::type_> id{ \
        static_cast<std::uint16_t>(rows::Broker::id)};
#include "config/broker_options.inc"
#undef MR_OPTION
}  // namespace broker_option

namespace topic_option {
#define MR_OPTION(id, type_, ...) \
    inline constexpr Key<Scope::topic, Type::type_> id{static_cast<std::uint16_t>(rows::Topic::id)};
#include "config/topic_options.inc"
#undef MR_OPTION
}  // namespace topic_option

namespace group_option {
#define MR_OPTION(id, type_, ...) \
    inline constexpr Key<Scope::group, Type::type_> id{static_cast<std::uint16_t>(rows::Group::id)};
#include "config/group_options.def"
#undef MR_OPTION
}  // namespace group_option

namespace client_metrics_option {
#define MR_OPTION(id, type_, ...)                                \
    inline constexpr Key<Scope::client_metrics, Type::type_> id{ \
        static_cast<std::uint16_t>(rows::ClientMetrics::id)};
#include "config/client_metrics_options.def"
#undef MR_OPTION
}  // namespace client_metrics_option

}  // namespace millrace::config
