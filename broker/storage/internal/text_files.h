// storage/internal/text_files.h
//
// The small text files beside the logs, byte for byte as Kafka writes them. Parsing and printing
// only; who reads and writes the files decides what their absence means.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/ids.h"
#include "storage/leader_epoch_cache.h"
#include "storage/log_directory.h"

namespace millrace::storage {

/// "0\n<count>\n<topic> <partition> <offset>\n..."
std::string print_offset_checkpoint(const OffsetMap& offsets);
Result<OffsetMap> parse_offset_checkpoint(std::string_view text);

/// "0\n<count>\n<epoch> <offset>\n..."
std::string print_epoch_checkpoint(const std::vector<EpochStart>& entries);
Result<std::vector<EpochStart>> parse_epoch_checkpoint(std::string_view text);

/// partition.metadata
std::string print_partition_metadata(Uuid topic_id);
/// Zero if a power cut came before all of it was on the disk: then nothing of that log was ever
/// synced. Code::corrupt for anything else that is no such file.
Result<Uuid> parse_partition_metadata(std::string_view text);

/// meta.properties
struct MetaProperties {
    std::string cluster_id;
    BrokerId node = no_broker;
    Uuid directory_id;  ///< Zero in files of before directory ids.
    friend bool operator==(const MetaProperties&, const MetaProperties&) = default;
};
std::string print_meta_properties(const MetaProperties& properties);
Result<MetaProperties> parse_meta_properties(std::string_view text);

/// .kafka_cleanshutdown; an old one is empty and says nothing of the epoch.
std::string print_clean_shutdown(BrokerEpoch epoch);
std::optional<BrokerEpoch> parse_clean_shutdown(std::string_view text);

}  // namespace millrace::storage
