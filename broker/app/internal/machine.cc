#include "app/internal/machine.h"

#include <dirent.h>
#include <fstream>
#include <memory>
#include <sched.h>
#include <sstream>
#include <sys/resource.h>
#include <unistd.h>

namespace millrace::app {
namespace {

std::optional<std::string> text_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        return std::nullopt;
    }
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

int cores() {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

std::int64_t open_file_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 1024;
    }
    // The soft limit is there for programs that use select(); we don't.
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        limit.rlim_cur = before;
    }
    constexpr rlim_t most = 1 << 24;
    return static_cast<std::int64_t>(std::min(limit.rlim_cur, most));
}

double seconds_of(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double count_entries(const char* path) {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path), &closedir);
    double count = 0;
    while (directory && readdir(directory.get()) != nullptr) {
        ++count;
    }
    return count - 2;  // . and ..
}

}  // namespace

config::MachineFacts this_machine() {
    config::MachineFacts facts = config::read_machine(text_of, cores(), open_file_limit());
    if (facts.memory_bytes <= 0) {  // no /proc here: the kernel tells it directly
        facts.memory_bytes = std::int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
    }
    return facts;
}

ProcessUse process_use() {
    ProcessUse use;
    if (const auto text = text_of("/proc/self/statm")) {
        std::istringstream fields(*text);
        double pages = 0;
        fields >> pages >> pages;  // the second is what is resident
        use.resident_bytes = pages * static_cast<double>(sysconf(_SC_PAGESIZE));
    }
    rusage used{};
    if (getrusage(RUSAGE_SELF, &used) == 0) {
        use.cpu_seconds = seconds_of(used.ru_utime) + seconds_of(used.ru_stime);
    }
    use.open_files = count_entries("/proc/self/fd") - 1;  // the one that looks
    use.threads = count_entries("/proc/self/task");
    return use;
}

}  // namespace millrace::app
