#include "handlers/request_meter.h"

#include "protocol/api_table.h"

namespace millrace::handlers {
namespace {

namespace metric = metrics::metric;

/// Topics come and go; past this many all handles are let go and resolved anew when needed.
constexpr std::int16_t most_versions = 64;
/// As many refusals by topic and error; they are rare, so this is far away.
constexpr std::size_t most_refused = 10'000;

std::string name_of(std::int16_t api_key) {
    const protocol::Api* info = protocol::find_api(api_key);
    return info == nullptr ? std::to_string(api_key) : std::string(info->name);
}

std::string_view kind_of(std::int16_t api_key) {
    switch (static_cast<protocol::ApiKey>(api_key)) {
        case protocol::ApiKey::produce:
            return "produce";
        case protocol::ApiKey::fetch:
            return "fetch";
        case protocol::ApiKey::create_topics:
        case protocol::ApiKey::delete_topics:
        case protocol::ApiKey::create_partitions:
            return "mutation";
        default:
            return "request";
    }
}

}  // namespace

RequestMeter::RequestMeter(metrics::Scope& scope, std::size_t topics_max)
    : scope_(&scope),
      topics_max_(topics_max),
      apis_(api_keys),
      replicated_out_(scope.counter(metric::replication_out_bytes)) {}

RequestMeter::Api* RequestMeter::api(std::int16_t api_key) {
    if (scope_ == nullptr || api_key < 0 || static_cast<std::size_t>(api_key) >= apis_.size()) {
        return nullptr;
    }
    Api& known = apis_[static_cast<std::size_t>(api_key)];
    if (!known.is_known) {
        const std::string name = name_of(api_key);
        known.request_bytes = scope_->counter(metric::request_bytes, {name});
        known.response_bytes = scope_->counter(metric::response_bytes, {name});
        known.seconds = scope_->histogram(metric::request_seconds, {name});
        known.is_known = true;
    }
    return &known;
}

void RequestMeter::received(std::int16_t api_key, std::int16_t version, std::size_t bytes) {
    Api* const to = api(api_key);
    if (to == nullptr || version < 0 || version >= most_versions) {
        return;
    }
    while (to->requests.size() <= static_cast<std::size_t>(version)) {
        to->requests.emplace_back();
    }
    std::optional<metrics::Counter>& counter = to->requests[static_cast<std::size_t>(version)];
    if (!counter) {
        counter = scope_->counter(metric::requests, {name_of(api_key), std::to_string(version)});
    }
    counter->add();
    to->request_bytes.add(bytes);
}

void RequestMeter::answered(std::int16_t api_key, Duration took, std::uint64_t bytes) {
    if (Api* const to = api(api_key)) {
        to->seconds.observe(took);
        to->response_bytes.add(bytes);
    }
}

void RequestMeter::throttled(std::int16_t api_key, Duration wait) {
    if (scope_ == nullptr) {
        return;
    }
    const std::string_view kind = kind_of(api_key);
    const auto [found, is_new] = throttled_.try_emplace(kind);
    if (is_new) {
        found->second = {scope_->counter(metric::throttled_requests, {kind}),
                         scope_->histogram(metric::throttle_seconds, {kind})};
    }
    found->second.requests.add();
    found->second.seconds.observe(wait);
}

void RequestMeter::unsupported(std::int16_t api_key, std::int16_t version) {
    if (scope_ == nullptr) {
        return;
    }
    // What a peer makes up must not become a label: only what Kafka has gets a name here.
    const bool has_name =
        protocol::find_api(api_key) != nullptr && version >= 0 && version < most_versions;
    const auto key =
        has_name ? std::pair(api_key, version) : std::pair(std::int16_t{-1}, std::int16_t{-1});
    const auto [found, is_new] = unsupported_.try_emplace(key);
    if (is_new) {
        found->second = scope_->counter(metric::unsupported_requests,
                                        {has_name ? name_of(api_key) : "unknown",
                                         has_name ? std::to_string(version) : "unknown"});
    }
    found->second.add();
}

void RequestMeter::malformed(Malformed reason) {
    if (scope_ == nullptr) {
        return;
    }
    std::optional<metrics::Counter>& counter = malformed_[static_cast<std::size_t>(reason)];
    if (!counter) {
        constexpr std::array<std::string_view, 3> names{"header", "api", "body"};
        counter =
            scope_->counter(metric::malformed_requests, {names[static_cast<std::size_t>(reason)]});
    }
    counter->add();
}

void RequestMeter::failed(std::int16_t api_key, KafkaError error) {
    if (scope_ == nullptr) {
        return;
    }
    const auto [found, is_new] = failed_.try_emplace({api_key, error});
    if (is_new) {
        found->second =
            scope_->counter(metric::request_errors, {name_of(api_key), to_string(error)});
    }
    found->second.add();
}

void RequestMeter::refused(Refused what, const std::string& topic, KafkaError error) {
    if (scope_ == nullptr) {
        return;
    }
    if (refused_.size() >= most_refused) {
        refused_.clear();
    }
    const auto [found, is_new] = refused_.try_emplace({what, error, topic});
    if (is_new) {
        const metrics::LabelValues<2> labels{topic, to_string(error)};
        found->second = what == Refused::produce
                            ? scope_->counter(metric::failed_produce_requests, labels)
                            : scope_->counter(metric::failed_fetch_requests, labels);
    }
    found->second.add();
}

TopicMeter& RequestMeter::topic(const std::string& name) {
    const auto known = topics_.find(name);
    if (known != topics_.end()) {
        return known->second;
    }
    // One place is for all who have none of their own.
    const std::string label = topics_.size() < topics_max_ ? name : "_other";
    auto [found, is_new] = topics_.try_emplace(label);
    if (is_new && scope_ != nullptr) {
        found->second = {scope_->counter(metric::produced_records, {label}),
                         scope_->counter(metric::produced_bytes, {label}),
                         scope_->counter(metric::fetched_bytes, {label}),
                         scope_->counter(metric::produce_requests, {label}),
                         scope_->counter(metric::fetch_requests, {label}),
                         scope_->counter(metric::rejected_bytes, {label})};
    }
    return found->second;
}

}  // namespace millrace::handlers
