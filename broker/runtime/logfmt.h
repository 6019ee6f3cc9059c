// runtime/logfmt.h
//
// A log event as one line of logfmt, without its time: "warn net.slow peer=n2 ms=31".
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "base/log.h"

namespace millrace::runtime {

std::string to_logfmt(Level level, std::string_view event, std::initializer_list<Field> fields);

}  // namespace millrace::runtime
