// storage/internal/log_names.h
//
// Names of files and directories as Kafka writes them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/uuid.h"
#include "model/ids.h"

namespace millrace::storage {

namespace suffix {
inline constexpr std::string_view log = ".log";
inline constexpr std::string_view index = ".index";
inline constexpr std::string_view time_index = ".timeindex";
inline constexpr std::string_view transaction_index = ".txnindex";
inline constexpr std::string_view snapshot = ".snapshot";
inline constexpr std::string_view deleted = ".deleted";
inline constexpr std::string_view cleaned = ".cleaned";
inline constexpr std::string_view swap = ".swap";
inline constexpr std::string_view quarantined = ".quarantined";  // Ours; Kafka passes it by.
}  // namespace suffix

inline constexpr std::string_view epoch_checkpoint_name = "leader-epoch-checkpoint";
inline constexpr std::string_view partition_metadata_name = "partition.metadata";
inline constexpr std::string_view meta_properties_name = "meta.properties";
inline constexpr std::string_view lock_name = ".lock";
inline constexpr std::string_view clean_shutdown_name = ".kafka_cleanshutdown";

/// "00000000000000000042" + suffix.
std::string offset_name(Offset offset, std::string_view suffix);
/// The offset of a name that ends in exactly `suffix`.
std::optional<Offset> parse_offset_name(std::string_view name, std::string_view suffix);

inline std::string join_path(std::string_view folder, std::string_view name) {
    return std::string(folder).append("/").append(name);
}

enum class LogFolderKind { current, future, deleted, stray };

struct LogFolderName {
    TopicPartition partition;
    LogFolderKind kind = LogFolderKind::current;
    friend bool operator==(const LogFolderName&, const LogFolderName&) = default;
};

/// "orders-0", or "orders-0.<32 hex digits>-delete", "-future", "-stray".
std::string log_folder_name(const TopicPartition& partition);
std::string log_folder_name(const TopicPartition& partition, LogFolderKind kind, Uuid unique);
std::optional<LogFolderName> parse_log_folder_name(std::string_view name);

}  // namespace millrace::storage
