// metadata/copies.h
//
// How many replicas a topic gets whose creator asks for none in particular.
#pragma once

#include <cstdint>
#include <string_view>

#include "metadata/image.h"

namespace millrace::metadata {

namespace setting {
inline constexpr std::string_view default_copies = "millrace.topics.default.replicas";
}  // namespace setting

struct CopiesOptions {
    std::int16_t wished = 0;     ///< This node's own millrace.topics.default.replicas
    std::int16_t otherwise = 1;  ///< default.replication.factor: as it is, whoever is there.
};

/// What is wished, as it holds at `node` now, or as many as there are brokers that take replicas.
std::int16_t default_copies(const Image& image, BrokerId node, const CopiesOptions& options);

}  // namespace millrace::metadata
