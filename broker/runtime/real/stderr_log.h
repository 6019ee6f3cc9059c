// runtime/real/stderr_log.h
//
// A log sink that writes one logfmt line an event: time, level, event, then the facts.
//   2026-01-02T03:04:05.678Z warn runtime.accept_exhausted listener=127.0.0.1:9092
#pragma once

#include <string>

#include "base/log.h"

namespace millrace::runtime {

class DescriptorLogSink final : public LogSink {
public:
    /// `descriptor` stays open and belongs to the caller: 2 for standard error.
    explicit DescriptorLogSink(int descriptor = 2) : descriptor_(descriptor) {}
    void write(Level level, std::string_view event, std::initializer_list<Field> fields) override;

private:
    const int descriptor_;
};

}  // namespace millrace::runtime
