#include <algorithm>

#include "config/config.h"
#include "config/internal/resolve.h"
#include "config/internal/text.h"

namespace millrace::config {

namespace {

template <Scope scope>
Values<scope> with_overrides(const Values<scope>& base, const Entries& overrides) {
    std::vector<Value> values;
    for (const Option& option : options(scope)) {
        const auto found = overrides.find(option.name);
        auto own = found == overrides.end() ? std::nullopt : valid_value(option, found->second);
        values.push_back(own ? *std::move(own) : base.at(row_of(option)));
    }
    return Values<scope>{std::move(values)};
}

}  // namespace

struct BrokerConfig::State {
    State(std::shared_ptr<const Given> given_, Entries cluster_default_, Entries this_broker_)
        : given(std::move(given_)),
          cluster_default(std::move(cluster_default_)),
          this_broker(std::move(this_broker_)),
          broker(resolve_broker(layers(), "")),
          topic(resolve_from_broker<Scope::topic>(layers())),
          group(resolve_from_broker<Scope::group>(layers())) {}

    Layers layers() const { return {given->entries, cluster_default, this_broker}; }

    std::shared_ptr<const Given> given;
    Entries cluster_default;
    Entries this_broker;
    BrokerValues broker;
    TopicValues topic;
    GroupValues group;
};

BrokerConfig::BrokerConfig(std::shared_ptr<const Given> given, Entries cluster_default,
                           Entries this_broker)
    : state_(std::make_unique<State>(std::move(given), std::move(cluster_default),
                                     std::move(this_broker))) {}
BrokerConfig::~BrokerConfig() = default;
BrokerConfig::BrokerConfig(BrokerConfig&&) noexcept = default;
BrokerConfig& BrokerConfig::operator=(BrokerConfig&&) noexcept = default;

const BrokerValues& BrokerConfig::broker() const {
    return state_->broker;
}

BrokerValues BrokerConfig::broker_for_listener(std::string_view listener) const {
    return resolve_broker(state_->layers(), "listener.name." + lower(listener) + ".");
}

std::optional<std::string> BrokerConfig::other(std::string_view name) const {
    const Layers layers = state_->layers();
    for (const Entries* entries : {&layers.this_broker, &layers.cluster_default, &layers.given}) {
        if (const auto found = entries->find(name); found != entries->end()) {
            return found->second;
        }
    }
    return std::nullopt;
}

const TopicValues& BrokerConfig::topic_defaults() const {
    return state_->topic;
}
TopicValues BrokerConfig::topic(const Entries& overrides) const {
    return with_overrides(state_->topic, overrides);
}
const GroupValues& BrokerConfig::group_defaults() const {
    return state_->group;
}
GroupValues BrokerConfig::group(const Entries& overrides) const {
    return with_overrides(state_->group, overrides);
}

std::vector<Described> BrokerConfig::describe_broker() const {
    return millrace::config::describe_broker(state_->layers());
}
std::vector<Described> BrokerConfig::describe_cluster_default() const {
    return millrace::config::describe_cluster_default(state_->layers());
}
std::vector<Described> BrokerConfig::describe_topic(const Entries& overrides) const {
    const TopicValues values = topic(overrides);
    std::vector<Described> all =
        describe_entity(state_->layers(), Scope::topic, ConfigSource::topic, overrides,
                        [&](std::size_t row) { return values.at(row); });
    // Every topic setting of Kafka has a value, and clients write back what they read: a null of
    // ours (what only a mirror link sets) would be refused to them.
    std::erase_if(all, [](const Described& one) { return !one.value && !one.sensitive; });
    return all;
}
std::vector<Described> BrokerConfig::describe_group(const Entries& overrides) const {
    const GroupValues values = group(overrides);
    return describe_entity(state_->layers(), Scope::group, ConfigSource::group, overrides,
                           [&](std::size_t row) { return values.at(row); });
}
std::vector<Described> BrokerConfig::describe_client_metrics(const Entries& overrides) const {
    const auto values =
        with_overrides(resolve_from_broker<Scope::client_metrics>(state_->layers()), overrides);
    return describe_entity(state_->layers(), Scope::client_metrics, ConfigSource::client_metrics,
                           overrides, [&](std::size_t row) { return values.at(row); });
}

const Given& BrokerConfig::given() const {
    return *state_->given;
}
const Entries& BrokerConfig::cluster_default() const {
    return state_->cluster_default;
}
const Entries& BrokerConfig::this_broker() const {
    return state_->this_broker;
}

}  // namespace millrace::config
