#include "config/overlay.h"

namespace millrace::config {

void Overlay::apply(const ResourceName& resource, std::string_view key,
                    std::optional<std::string_view> value) {
    auto changed = std::make_shared<Entries>(entries(resource));
    if (value) {
        (*changed)[std::string{key}] = *value;
    } else if (const auto found = changed->find(key); found != changed->end()) {
        changed->erase(found);
    }
    if (changed->empty()) {
        entries_.erase(resource);
    } else {
        entries_[resource] = std::move(changed);
    }
}

void Overlay::erase(const ResourceName& resource) {
    entries_.erase(resource);
}

const Entries& Overlay::entries(const ResourceName& resource) const {
    static const Entries none;
    const auto found = entries_.find(resource);
    return found == entries_.end() ? none : *found->second;
}

std::vector<ResourceName> Overlay::resources(ResourceType type) const {
    std::vector<ResourceName> names;
    for (const auto& [name, entries] : entries_) {
        if (name.type == type) {
            names.push_back(name);
        }
    }
    return names;
}

}  // namespace millrace::config
