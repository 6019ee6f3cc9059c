#include "app/internal/config_changes.h"

#include <algorithm>

#include "config/option.h"

namespace millrace::app {
namespace {

using Values = std::map<std::string, std::string, std::less<>>;

bool is_link(const Values::value_type& entry) {
    return entry.first.starts_with(config::mirror_link_prefix);
}

Values settings_of(const metadata::Image& image, const metadata::ConfigResource& resource) {
    const metadata::ConfigMap* found = image.configs.find(resource);
    Values values = found == nullptr ? Values{} : found->values;
    std::erase_if(values, is_link);
    return values;
}

}  // namespace

std::optional<std::vector<std::string>> only_topics_changed(const metadata::Delta& delta,
                                                            const metadata::Image& next,
                                                            BrokerId self) {
    using Type = metadata::ConfigResourceType;
    std::vector<std::string> topics;
    for (const metadata::ConfigResource& changed : delta.changes().configs) {
        if (changed.type == Type::topic) {
            topics.push_back(changed.name);
        } else if (changed.type == Type::broker &&
                   (changed.name.empty() || changed.name == std::to_string(self.value)) &&
                   settings_of(delta.before(), changed) != settings_of(next, changed)) {
            return std::nullopt;
        }
    }
    return topics;
}

}  // namespace millrace::app
