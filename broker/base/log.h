// base/log.h
//
// Structured log: one event with a fixed name and facts as fields. Each broker object has a Logger
// of its own (many run in one simulated process); secrets never reach it because a Secret has no
// field(). `error` is for what a person must act on.
//
//   MR_LOG(log, info, "storage.segment_rolled", field("partition", p), field("base", base));
#pragma once

#include <fmt/core.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace millrace {

enum class Level { debug, info, warn, error };
std::string_view to_string(Level level);

struct Field {
    std::string_view name;
    std::string value;
};

template <typename T>
Field field(std::string_view name, const T& value) {
    return {name, fmt::format("{}", value)};
}

/// Where events go. Called from any thread; each call is one whole event.
class LogSink {
public:
    virtual ~LogSink() = default;
    virtual void write(Level level, std::string_view event,
                       std::initializer_list<Field> fields) = 0;
};

class Logger {
public:
    Logger() = default;  ///< Drops everything.
    explicit Logger(std::shared_ptr<LogSink> sink, Level least = Level::info)
        : sink_(std::move(sink)), least_(least) {}

    bool enabled(Level level) const { return sink_ && level >= least_; }
    void write(Level level, std::string_view event, std::initializer_list<Field> fields) const {
        sink_->write(level, event, fields);
    }

private:
    std::shared_ptr<LogSink> sink_;
    Level least_ = Level::info;
};

}  // namespace millrace

#define MR_LOG(logger, level, event, ...)                                                    \
    do {                                                                                     \
        if (const auto& mr_logger = (logger); mr_logger.enabled(::millrace::Level::level)) { \
            using ::millrace::field;                                                         \
            mr_logger.write(::millrace::Level::level, event, {__VA_ARGS__});                 \
        }                                                                                    \
    } while (false)
