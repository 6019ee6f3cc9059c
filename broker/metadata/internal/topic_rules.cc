#include "metadata/internal/topic_rules.h"

#include <charconv>

namespace millrace::metadata {
namespace {

const std::string* effective(const Image& image, BrokerId node, std::string_view topic,
                             std::string_view key) {
    if (const auto* set =
            image.configs.find({ConfigResourceType::topic, std::string(topic)}, key)) {
        return set;
    }
    if (const auto* set =
            image.configs.find({ConfigResourceType::broker, std::to_string(node.value)}, key)) {
        return set;
    }
    return image.configs.find({ConfigResourceType::broker, {}}, key);
}

bool is_true(std::string_view text) {
    return text.size() == 4 && (text[0] | 0x20) == 't' && (text[1] | 0x20) == 'r' &&
           (text[2] | 0x20) == 'u' && (text[3] | 0x20) == 'e';
}

}  // namespace

TopicRules topic_rules(const Image& image, const ControllerOptions& options,
                       std::string_view topic) {
    TopicRules rules;
    std::int32_t min_isr = options.min_insync_replicas;
    if (const auto* text = effective(image, options.node, topic, setting::min_insync_replicas)) {
        // Validated when it was set; a value that can't be read keeps the node's own.
        std::int32_t value = 0;
        if (std::from_chars(text->data(), text->data() + text->size(), value).ec == std::errc{}) {
            min_isr = value;
        }
    }
    rules.min_isr = static_cast<std::size_t>(std::max(1, min_isr));
    const auto* unclean = effective(image, options.node, topic, setting::unclean_election);
    rules.unclean_election =
        unclean != nullptr ? is_true(*unclean) : options.unclean_leader_election;
    const auto* durability = effective(image, options.node, topic, setting::durability);
    rules.synced = durability != nullptr ? *durability == "synced" : options.synced;
    return rules;
}

}  // namespace millrace::metadata
