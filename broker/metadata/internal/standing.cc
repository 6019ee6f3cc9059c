#include "metadata/standing.h"

#include <charconv>

namespace millrace::metadata {

ConfigResource broker_settings(BrokerId broker) {
    return {ConfigResourceType::broker, std::to_string(broker.value)};
}

bool is_cordoned(const Image& image, const Broker& broker) {
    const std::string* said = image.configs.find(broker_settings(broker.id), setting::cordoned);
    return broker.is_cordoned() || (said != nullptr && *said == "true");
}

bool is_drained(const Image& image, const Broker& broker) {
    const std::string* said =
        image.configs.find(broker_settings(broker.id), setting::drained_epoch);
    std::int64_t epoch = -1;
    return said != nullptr &&
           std::from_chars(said->data(), said->data() + said->size(), epoch).ec == std::errc{} &&
           epoch == broker.epoch.value;
}

std::vector<BrokerId> drained_brokers(const Image& image) {
    std::vector<BrokerId> found;
    const auto& all = image.configs.by_resource();
    // Few brokers have settings of their own, so this is short however large the cluster is.
    for (auto at = all.lower_bound(ConfigResource{ConfigResourceType::broker, {}}); at != all.end();
         ++at) {
        if (at->key.type != ConfigResourceType::broker) {
            break;
        }
        std::int32_t id = -1;
        const std::string& name = at->key.name;
        if (at->value->values.contains(setting::drained_epoch) &&
            std::from_chars(name.data(), name.data() + name.size(), id).ec == std::errc{}) {
            const Broker* broker = image.cluster.broker(BrokerId{id});
            if (broker != nullptr && is_drained(image, *broker)) {
                found.push_back(broker->id);
            }
        }
    }
    return found;
}

}  // namespace millrace::metadata
