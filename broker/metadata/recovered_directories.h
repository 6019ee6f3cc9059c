// metadata/recovered_directories.h
//
// What a broker adds to BrokerRegistration after an unclean stop: the directories
// that recovered to at least their persisted synced end. A tagged field with a number of our own,
// which Kafka keeps out of the way of and ignores.
#pragma once

#include <set>
#include <span>

#include "base/bytes.h"
#include "base/uuid.h"

namespace millrace::protocol {
struct BrokerRegistrationRequest;
}

namespace millrace::metadata {

inline constexpr std::uint32_t recovered_directories_tag = 11'001;

/// The field's content: 16 bytes for each id.
Buffer encode_recovered_directories(std::span<const Uuid> directories);

/// Empty without the field, and for one that is malformed: without proof nobody keeps a place.
std::set<Uuid> recovered_directories(const protocol::BrokerRegistrationRequest& request);

}  // namespace millrace::metadata
