#include "app/internal/identity.h"

#include <algorithm>
#include <string_view>

#include "metadata/bootstrap_file.h"
#include "raft/storage_log.h"

namespace millrace::app {
namespace {

constexpr std::uint64_t meta_properties_max = 64U << 10;
constexpr std::uint64_t bootstrap_file_max = 1U << 20;
constexpr std::string_view key = "cluster.id=";

}  // namespace

Result<std::optional<std::string>> cluster_id_on_disk(runtime::Disk& disk,
                                                      const std::vector<std::string>& paths) {
    std::optional<Error> unread;
    for (const std::string& path : paths) {
        const auto text = disk.read_whole(path + "/meta.properties", meta_properties_max);
        if (!text) {
            // What can't be a directory at all is told by who opens it.
            const bool is_absent =
                text.error().code() == Code::not_found || text.error().code() == Code::invalid;
            if (!is_absent && !unread) {
                unread = text.error();
            }
            continue;
        }
        std::string_view rest = *text;
        while (!rest.empty()) {
            const std::size_t end = std::min(rest.find('\n'), rest.size());
            std::string_view line = rest.substr(0, end);
            rest.remove_prefix(std::min(rest.size(), end + 1));
            if (line.starts_with(key)) {
                line.remove_prefix(key.size());
                while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) {
                    line.remove_suffix(1);
                }
                return std::optional<std::string>(line);
            }
        }
    }
    // A disk that can't be read may hold the id; to make another one up would be a second cluster.
    if (unread) {
        return unread->code() == Code::permission
                   ? Error::make(Code::invalid, "log.dirs: {}", unread->message())
                   : *unread;
    }
    return std::optional<std::string>();
}

namespace {

/// A log and its snapshots; what the quorum keeps beside them is true of no cluster in particular.
bool is_metadata(const runtime::DirectoryEntry& file) {
    return file.is_directory || file.name.ends_with(".log") || file.name.ends_with(".checkpoint");
}

bool holds_nothing(runtime::Disk& disk, const std::string& path) {
    const auto entries = disk.list(path);
    if (!entries) {
        return entries.error().code() == Code::not_found;
    }
    const bool is_fresh =
        std::all_of(entries->begin(), entries->end(), [](const runtime::DirectoryEntry& entry) {
            return entry.is_directory
                       ? entry.name == raft::metadata_folder || entry.name == "lost+found"
                       : entry.name != metadata::bootstrap_file_name;
        });
    return is_fresh && lacks_metadata(disk, path);
}

}  // namespace

bool lacks_metadata(runtime::Disk& disk, const std::string& path) {
    const std::string folder = fmt::format("{}/{}", path, raft::metadata_folder);
    const auto files = disk.list(folder);
    if (!files) {
        return files.error().code() == Code::not_found;
    }
    return std::none_of(files->begin(), files->end(), [&](const runtime::DirectoryEntry& file) {
        const auto size = disk.file_size(fmt::format("{}/{}", folder, file.name));
        return is_metadata(file) && (!size || *size > 0);
    });
}

std::string a_log_in(runtime::Disk& disk, const std::string& path) {
    const auto entries = disk.list(path);
    for (const runtime::DirectoryEntry& entry :
         entries ? *entries : std::vector<runtime::DirectoryEntry>{}) {
        const std::size_t dash = entry.name.rfind('-');
        const bool is_numbered =
            dash != std::string::npos && dash + 1 < entry.name.size() &&
            std::all_of(entry.name.begin() + static_cast<std::ptrdiff_t>(dash) + 1,
                        entry.name.end(), [](char c) { return c >= '0' && c <= '9'; });
        if (entry.is_directory && is_numbered && entry.name != raft::metadata_folder) {
            return entry.name;
        }
    }
    return {};
}

bool hold_nothing(runtime::Disk& disk, const std::vector<std::string>& paths) {
    return std::all_of(paths.begin(), paths.end(),
                       [&](const std::string& path) { return holds_nothing(disk, path); });
}

Result<std::map<std::string, std::int16_t, std::less<>>> formatted_features(
    runtime::Disk& disk, const std::string& metadata_path) {
    const std::string file = metadata_path + "/" + std::string(metadata::bootstrap_file_name);
    MR_TRY(const bool there, disk.exists(file));
    if (!there) {
        return std::map<std::string, std::int16_t, std::less<>>();
    }
    MR_TRY(const std::string contents, disk.read_whole(file, bootstrap_file_max));
    auto features = metadata::bootstrap_file_features(as_bytes(contents));
    if (!features) {
        return Error::make(features.error().code(), "{}: {}", file, features.error().message());
    }
    return features;
}

}  // namespace millrace::app
