#include "metadata/copies.h"

#include <algorithm>
#include <charconv>
#include <string>

#include "metadata/standing.h"

namespace millrace::metadata {

std::int16_t default_copies(const Image& image, BrokerId node, const CopiesOptions& options) {
    const std::string* set = image.configs.find(broker_settings(node), setting::default_copies);
    if (set == nullptr) {
        set = image.configs.find({ConfigResourceType::broker, {}}, setting::default_copies);
    }
    std::int16_t wished = options.wished;
    if (set != nullptr) {
        // Validated when it was set; a value that can't be read keeps the node's own.
        std::from_chars(set->data(), set->data() + set->size(), wished);
    }
    if (wished <= 0) {
        return options.otherwise;
    }
    const auto& brokers = image.cluster.brokers;
    const auto there = std::count_if(brokers.begin(), brokers.end(), [&](const auto& entry) {
        return !is_cordoned(image, *entry.value);
    });
    return static_cast<std::int16_t>(
        std::clamp<std::int64_t>(there, 1, static_cast<std::int64_t>(wished)));
}

}  // namespace millrace::metadata
