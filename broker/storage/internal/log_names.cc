#include "storage/internal/log_names.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace millrace::storage {

namespace {

constexpr std::size_t offset_digits = 20;
constexpr std::size_t name_max = 255;  // What file systems take, and so Kafka's bound too.

std::string_view kind_suffix(LogFolderKind kind) {
    switch (kind) {
        case LogFolderKind::current:
            return "";
        case LogFolderKind::future:
            return "-future";
        case LogFolderKind::deleted:
            return "-delete";
        case LogFolderKind::stray:
            return "-stray";
    }
    return "";
}

bool is_hex(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    });
}

std::optional<TopicPartition> parse_partition(std::string_view name) {
    const std::size_t dash = name.rfind('-');
    if (dash == std::string_view::npos || dash == 0 || dash + 1 == name.size()) {
        return std::nullopt;
    }
    std::int32_t index = 0;
    const char* end = name.data() + name.size();
    const auto [at, error] = std::from_chars(name.data() + dash + 1, end, index);
    if (error != std::errc{} || at != end || index < 0) {
        return std::nullopt;
    }
    return TopicPartition{std::string(name.substr(0, dash)), PartitionIndex{index}};
}

}  // namespace

std::string offset_name(Offset offset, std::string_view suffix) {
    return fmt::format("{:020}{}", offset.value, suffix);
}

std::optional<Offset> parse_offset_name(std::string_view name, std::string_view suffix) {
    if (name.size() != offset_digits + suffix.size() || !name.ends_with(suffix)) {
        return std::nullopt;
    }
    std::int64_t value = 0;
    const char* end = name.data() + offset_digits;
    const auto [at, error] = std::from_chars(name.data(), end, value);
    if (error != std::errc{} || at != end || value < 0) {
        return std::nullopt;
    }
    return Offset{value};
}

std::string log_folder_name(const TopicPartition& partition) {
    return partition.to_string();
}

std::string log_folder_name(const TopicPartition& partition, LogFolderKind kind, Uuid unique) {
    const std::string tail =
        fmt::format(".{:016x}{:016x}{}", unique.high, unique.low, kind_suffix(kind));
    std::string name = partition.to_string();
    if (kind == LogFolderKind::deleted || kind == LogFolderKind::stray) {
        // Only to be found and removed: a cut topic name does no harm there.
        const std::string index = fmt::format("-{}", partition.partition.value);
        const std::size_t room = name_max - tail.size() - index.size();
        name = partition.topic.substr(0, room) + index;
    }
    return name + tail;
}

std::optional<LogFolderName> parse_log_folder_name(std::string_view name) {
    for (const auto kind : {LogFolderKind::future, LogFolderKind::deleted, LogFolderKind::stray}) {
        const std::string_view ending = kind_suffix(kind);
        if (!name.ends_with(ending)) {
            continue;
        }
        const std::string_view front = name.substr(0, name.size() - ending.size());
        const std::size_t dot = front.rfind('.');
        if (dot == std::string_view::npos || front.size() - dot - 1 != 32 ||
            !is_hex(front.substr(dot + 1))) {
            continue;
        }
        if (auto partition = parse_partition(front.substr(0, dot))) {
            return LogFolderName{std::move(*partition), kind};
        }
    }
    if (auto partition = parse_partition(name)) {
        return LogFolderName{std::move(*partition), LogFolderKind::current};
    }
    return std::nullopt;
}

}  // namespace millrace::storage
