#include "config/machine.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <vector>

#include "config/internal/text.h"

namespace millrace::config {

namespace {

std::optional<std::int64_t> number(std::string_view text) {
    text = trimmed(text);
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

std::vector<std::string_view> lines(std::string_view text) {
    std::vector<std::string_view> out;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        out.push_back(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return out;
}

/// "MemTotal:  16265180 kB"
std::int64_t total_memory(const ReadFile& read) {
    const std::string text = read("/proc/meminfo").value_or("");
    for (const std::string_view line : lines(text)) {
        constexpr std::string_view name = "MemTotal:";
        if (line.starts_with(name) && line.ends_with(" kB")) {
            const auto kib = number(line.substr(name.size(), line.size() - name.size() - 3));
            return kib ? *kib * 1024 : 0;
        }
    }
    return 0;
}

/// The group's path in a hierarchy: "" names version 2, else a controller of version 1.
std::optional<std::string> group_path(std::string_view text, std::string_view controller) {
    for (const std::string_view line : lines(text)) {
        const std::size_t first = line.find(':');
        const std::size_t second = line.find(':', first + 1);
        if (first == std::string_view::npos || second == std::string_view::npos) {
            continue;
        }
        const auto names = split_words(line.substr(first + 1, second - first - 1));
        if (std::find(names.begin(), names.end(), controller) != names.end()) {
            return std::string{line.substr(second + 1)};
        }
    }
    return std::nullopt;
}

/// The folders of a group and of its parents, the root last. A path that leads out of what this
/// process sees of the tree (a container without a name space of its own) counts as the root.
std::vector<std::string> group_folders(const std::string& root, std::string path) {
    if (path.find("..") != std::string::npos) {
        path = "/";
    }
    std::vector<std::string> folders;
    while (path.size() > 1) {
        folders.push_back(root + path);
        path.resize(path.rfind('/'));
    }
    folders.push_back(root);
    return folders;
}

template <typename T>
void lower_to(std::optional<T>& limit, std::optional<T> other) {
    if (other && (!limit || *other < *limit)) {
        limit = other;
    }
}

/// "150000 100000" is one and a half cores, "max 100000" no limit.
std::optional<double> quota_of_version_2(const std::string& text) {
    const std::string_view line = trimmed(text);
    const std::size_t space = line.find(' ');
    const auto quota = number(line.substr(0, space));
    const auto period =
        space == std::string_view::npos ? std::nullopt : number(line.substr(space + 1));
    if (!quota || !period || *period <= 0) {
        return std::nullopt;
    }
    return static_cast<double>(*quota) / static_cast<double>(*period);
}

void read_version_2(const ReadFile& read, const std::string& path, MachineFacts& facts) {
    for (const std::string& folder : group_folders("/sys/fs/cgroup", path)) {
        if (const auto text = read(folder + "/memory.max")) {
            lower_to(facts.group_memory_bytes, number(*text));
        }
        if (const auto text = read(folder + "/cpu.max")) {
            lower_to(facts.core_quota, quota_of_version_2(*text));
        }
    }
}

void read_version_1(const ReadFile& read, const std::string& groups, MachineFacts& facts) {
    constexpr std::int64_t no_limit = std::int64_t{1} << 60;
    if (const auto path = group_path(groups, "memory")) {
        for (const std::string& folder : group_folders("/sys/fs/cgroup/memory", *path)) {
            const auto text = read(folder + "/memory.limit_in_bytes");
            const auto limit = text ? number(*text) : std::nullopt;
            if (limit && *limit < no_limit) {
                lower_to(facts.group_memory_bytes, limit);
            }
        }
    }
    if (const auto path = group_path(groups, "cpu")) {
        for (const std::string& folder : group_folders("/sys/fs/cgroup/cpu", *path)) {
            const auto quota = read(folder + "/cpu.cfs_quota_us");
            const auto period = read(folder + "/cpu.cfs_period_us");
            const auto used = quota ? number(*quota) : std::nullopt;
            const auto of = period ? number(*period) : std::nullopt;
            if (used && of && *used > 0 && *of > 0) {
                lower_to(facts.core_quota,
                         std::optional{static_cast<double>(*used) / static_cast<double>(*of)});
            }
        }
    }
}

}  // namespace

MachineFacts read_machine(const ReadFile& read, int cores, std::int64_t open_files) {
    MachineFacts facts;
    facts.cores = cores;
    facts.open_files = open_files;
    facts.memory_bytes = total_memory(read);
    const auto groups = read("/proc/self/cgroup");
    if (groups) {
        if (const auto path = group_path(*groups, "")) {
            read_version_2(read, *path, facts);
        }
        read_version_1(read, *groups, facts);
    }
    return facts;
}

}  // namespace millrace::config
