// app/internal/machine.h
#pragma once

#include "config/machine.h"

namespace millrace::app {

/// The machine this process runs on; raises the soft limit of open files to the hard one.
config::MachineFacts this_machine();

/// What the process uses now, for /metrics.
struct ProcessUse {
    double resident_bytes = 0;
    double cpu_seconds = 0;
    double open_files = 0;
    double threads = 0;
};
ProcessUse process_use();

}  // namespace millrace::app
