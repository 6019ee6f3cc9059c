#include "config/alter.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "config/internal/cross_checks.h"
#include "config/internal/names.h"
#include "config/internal/text.h"
#include "config/value.h"

namespace millrace::config {

namespace {

Refusal invalid_config(std::string message) {
    return {Refusal::Kind::invalid_config, std::move(message)};
}
Refusal invalid_request(std::string message) {
    return {Refusal::Kind::invalid_request, std::move(message)};
}

/// Which error a Kafka client is told about a wrong value: not the same for all resources.
Refusal wrong_value(Resource resource, std::string message) {
    return resource == Resource::topic || resource == Resource::group
               ? invalid_config(std::move(message))
               : invalid_request(std::move(message));
}

Scope scope_of(Resource resource) {
    switch (resource) {
        case Resource::topic:
            return Scope::topic;
        case Resource::cluster_default:
        case Resource::broker:
            return Scope::broker;
        case Resource::group:
            return Scope::group;
        case Resource::client_metrics:
            return Scope::client_metrics;
    }
    MR_ASSERT(false);
}

const Option* option_for(Resource resource, std::string_view name) {
    return scope_of(resource) == Scope::broker ? broker_option_behind(name)
                                               : find_option(scope_of(resource), name);
}

std::string unknown_name(Resource resource, std::string_view name) {
    const std::string_view near = nearest_name(scope_of(resource), name);
    return near.empty() ? fmt::format("{} is no known setting", name)
                        : fmt::format("{} is no known setting; did you mean {}?", name, near);
}

bool is_of_link(std::string_view name) {
    return name.starts_with("millrace.mirror.");
}

/// Many programs read all settings of a topic, change one and write all: what a link keeps comes
/// back as it was shown.
bool is_links_as_it_is(const Option& option, const Entries& entries, const Alteration& asked) {
    if (!is_of_link(asked.name) || asked.by_link || asked.op != AlterOp::set || !asked.value) {
        return false;
    }
    const auto found = entries.find(asked.name);
    return found != entries.end() ? found->second == *asked.value
                                  : option.fallback != nullptr && *asked.value == option.fallback;
}

Refusal for_each_broker(std::string_view name) {
    return invalid_request(
        fmt::format("{} is set for each broker by itself, not for the cluster", name));
}

std::optional<Refusal> check_changeable(Resource resource, const Option& option,
                                        std::string_view name, bool by_link) {
    const bool of_link = is_of_link(name);
    if (of_link && by_link) {
        return std::nullopt;
    }
    if (option.update == Update::read_only) {
        return invalid_request(of_link
                                   ? fmt::format("{} is kept by a mirror link", name)
                                   : fmt::format("{} can't be changed while the broker runs; set "
                                                 "it where the broker is started",
                                                 name));
    }
    const bool of_listener = name != option.name;
    if (resource == Resource::cluster_default &&
        (option.update == Update::per_broker || of_listener)) {
        return for_each_broker(name);
    }
    return std::nullopt;
}

std::optional<Refusal> check_value(Resource resource, const Option& option, std::string_view name,
                                   const std::string& value) {
    const auto parsed = parse_value(option, value);
    const std::string shown = option.sensitive() ? "[hidden]" : value;
    if (const std::string* what = std::get_if<std::string>(&parsed)) {
        return wrong_value(resource, fmt::format("{}={} {}", name, shown, *what));
    }
    const std::optional<std::string> text = to_text(std::get<Value>(parsed));
    if (option.support == Support::refused &&
        text != (option.fallback == nullptr ? "" : option.fallback)) {
        return wrong_value(resource,
                           fmt::format("{}={} is not offered: {}", name, shown, option.why));
    }
    return std::nullopt;
}

/// A client's match pattern is checked when it is used for the first time; here its name.
std::optional<Refusal> check_client_metrics(const Entries& entries) {
    if (const auto found = entries.find("interval.ms"); found != entries.end()) {
        const auto value =
            parse_value(*find_option(Scope::client_metrics, "interval.ms"), found->second);
        const std::int64_t interval = std::get<std::int64_t>(std::get<Value>(value));
        if (interval < 100 || interval > 3'600'000) {
            return invalid_request(
                fmt::format("interval.ms={} is not between 100 and 3600000", interval));
        }
    }
    constexpr std::string_view selectors[] = {"client_instance_id",    "client_id",
                                              "client_software_name",  "client_software_version",
                                              "client_source_address", "client_source_port"};
    const auto found = entries.find("match");
    for (const std::string& pair : split_list(found == entries.end() ? "" : found->second)) {
        const std::string_view name = trimmed(std::string_view{pair}.substr(0, pair.find('=')));
        const bool known =
            std::find(std::begin(selectors), std::end(selectors), name) != std::end(selectors);
        if (!known || pair.find('=') == std::string::npos) {
            return invalid_config(
                fmt::format("match={} is not a client's property and a pattern", pair));
        }
    }
    return std::nullopt;
}

std::optional<Refusal> first_of(Resource resource, const std::vector<Conflict>& conflicts) {
    if (conflicts.empty()) {
        return std::nullopt;
    }
    return wrong_value(resource,
                       fmt::format("{} {}", conflicts.front().key, conflicts.front().what));
}

/// Conflicts that were there before are not this request's fault and must not lock the door.
std::vector<Conflict> new_conflicts(std::vector<Conflict> after,
                                    const std::vector<Conflict>& before) {
    std::erase_if(after, [&](const Conflict& one) {
        return one.is_doubt ||
               std::any_of(before.begin(), before.end(), [&](const Conflict& other) {
                   return other.key == one.key && other.what == one.what;
               });
    });
    return after;
}

/// The rules between settings, with the resource's entries as they would be.
std::optional<Refusal> check_together(Resource resource, const Entries& current,
                                      const Entries& wanted, const BrokerConfig& config) {
    switch (resource) {
        case Resource::topic:
            return first_of(resource,
                            new_conflicts(topic_conflicts(config.topic(wanted), config.broker()),
                                          topic_conflicts(config.topic(current), config.broker())));
        case Resource::group:
            return first_of(resource,
                            new_conflicts(group_conflicts(config.group(wanted), config.broker()),
                                          group_conflicts(config.group(current), config.broker())));
        case Resource::client_metrics:
            return check_client_metrics(wanted);
        case Resource::cluster_default:
        case Resource::broker:
            break;
    }
    const bool of_cluster = resource == Resource::cluster_default;
    // `config` is that of the broker which checks; only its own entries may stand for `current`.
    const BrokerConfig before{std::make_shared<const Given>(config.given()),
                              of_cluster ? current : config.cluster_default(),
                              of_cluster ? Entries{} : current};
    const BrokerConfig after{std::make_shared<const Given>(config.given()),
                             of_cluster ? wanted : config.cluster_default(),
                             of_cluster ? Entries{} : wanted};
    return first_of(resource, new_conflicts(broker_conflicts(after.broker()),
                                            broker_conflicts(before.broker())));
}

/// The list that APPEND and SUBTRACT work on: what the resource has, else the table's default.
std::vector<std::string> list_before(const Option& option, const Entries& entries,
                                     std::string_view name) {
    const auto found = entries.find(name);
    if (found != entries.end()) {
        return split_list(trimmed(found->second));
    }
    return split_list(option.fallback == nullptr ? "" : option.fallback);
}

/// What an APPEND or SUBTRACT names. Nothing at all is one empty item, commas at the end are none.
std::vector<std::string> items_named(std::string_view text) {
    if (text.empty()) {
        return {std::string{}};
    }
    std::vector<std::string> items = split_list(text);
    while (!items.empty() && items.back().empty()) {
        items.pop_back();
    }
    return items;
}

std::string with_list_change(const Option& option, const Entries& entries,
                             const Alteration& asked) {
    std::vector<std::string> list = list_before(option, entries, asked.name);
    for (const std::string& item : items_named(trimmed(*asked.value))) {
        const auto found = std::find(list.begin(), list.end(), item);
        if (asked.op == AlterOp::append && found == list.end()) {
            list.push_back(item);
        } else if (asked.op == AlterOp::subtract && found != list.end()) {
            list.erase(found);
        }
    }
    return join_list(list);
}

std::int64_t link_version(std::string_view value) {
    std::int64_t version = 0;
    std::from_chars(value.data(), value.data() + value.size(), version);
    return version;
}

/// A mirror link's entry begins with its version, and a change builds on the one before: of two
/// that were made at the same time, the second is refused.
std::optional<Refusal> check_link_version(std::string_view name, const Entries& entries,
                                          std::string_view value) {
    if (!name.starts_with(mirror_link_prefix)) {
        return std::nullopt;
    }
    const auto found = entries.find(name);
    const std::int64_t before = found == entries.end() ? 0 : link_version(found->second);
    if (link_version(value) != before + 1) {
        return invalid_request(fmt::format("{} is at version {}: it was changed meanwhile",
                                           name.substr(mirror_link_prefix.size()), before));
    }
    return std::nullopt;
}

Refusal without_value(const Alteration& asked) {
    return invalid_request(fmt::format("{} is given without a value", asked.name));
}

Refusal not_a_list(const Alteration& asked) {
    return invalid_config(fmt::format("{} is no list that one could {}", asked.name,
                                      asked.op == AlterOp::append ? "add to" : "take from"));
}

/// What no table has. Brokers keep whatever they are told beside their own settings: tools of
/// Kafka's world put notes there, and settings of plug-ins. Names of ours can only be slips.
std::optional<Refusal> apply_unknown(Resource resource, const Alteration& asked, Entries& entries) {
    if (asked.op == AlterOp::remove) {
        // This is also how one gets rid of an entry that another version left behind.
        entries.erase(asked.name);
        return std::nullopt;
    }
    if (scope_of(resource) != Scope::broker || asked.name.starts_with("millrace.")) {
        std::string message = unknown_name(resource, asked.name);
        return resource == Resource::client_metrics ? invalid_request(std::move(message))
                                                    : invalid_config(std::move(message));
    }
    if (asked.op != AlterOp::set) {
        return not_a_list(asked);
    }
    if (resource == Resource::cluster_default && asked.name.starts_with("listener.name.")) {
        return for_each_broker(asked.name);
    }
    if (!asked.value) {
        return without_value(asked);
    }
    entries[asked.name] = *asked.value;
    return std::nullopt;
}

/// Puts one alteration into `entries`, or says why not.
std::optional<Refusal> apply_one(Resource resource, const Alteration& asked, Entries& entries) {
    const Option* option = option_for(resource, asked.name);
    if (option == nullptr) {
        return apply_unknown(resource, asked, entries);
    }
    if (is_links_as_it_is(*option, entries, asked)) {
        return std::nullopt;
    }
    if (auto refusal = check_changeable(resource, *option, asked.name, asked.by_link)) {
        return refusal;
    }
    if (asked.op == AlterOp::remove) {
        entries.erase(asked.name);
        return std::nullopt;
    }
    if (!asked.value) {
        return without_value(asked);
    }
    std::string value = *asked.value;
    if (asked.op != AlterOp::set) {
        if (option->type != Type::list || resource == Resource::client_metrics) {
            return not_a_list(asked);
        }
        value = with_list_change(*option, entries, asked);
    }
    if (auto refusal = check_value(resource, *option, asked.name, value)) {
        return refusal;
    }
    if (auto refusal = check_link_version(asked.name, entries, value)) {
        return refusal;
    }
    entries[asked.name] = std::move(value);
    return std::nullopt;
}

/// A fence that links have set lasts until the last of them lets go, and whoever takes it away by
/// hand takes their names with it.
void keep_fence_whole(const Entries& before, Entries& after) {
    constexpr std::string_view fence = "millrace.fenced";
    constexpr std::string_view by = "millrace.fenced.by";
    const auto value = [](const Entries& entries, std::string_view name) {
        const auto found = entries.find(name);
        return found == entries.end() ? std::string{} : std::string(trimmed(found->second));
    };
    const bool nobody = value(after, by).empty();
    if (nobody && !value(before, by).empty() && value(before, fence) == value(after, fence)) {
        after.erase(std::string(fence));
    }
    if (nobody || value(after, fence) != "true") {
        after.erase(std::string(by));
    }
}

std::vector<Change> changes_between(const Entries& before, const Entries& after) {
    std::vector<Change> changes;
    for (const auto& [name, value] : after) {
        const auto found = before.find(name);
        if (found == before.end() || found->second != value) {
            changes.push_back({name, value});
        }
    }
    for (const auto& [name, value] : before) {
        if (after.count(name) == 0) {
            changes.push_back({name, std::nullopt});
        }
    }
    return changes;
}

}  // namespace

Altered alter(Resource resource, const Entries& current, const std::vector<Alteration>& asked,
              const BrokerConfig& config) {
    Entries entries = current;
    std::set<std::string_view> names;
    for (const Alteration& one : asked) {
        if (!names.insert(one.name).second) {
            return invalid_request(fmt::format("{} is named twice", one.name));
        }
        if (auto refusal = apply_one(resource, one, entries)) {
            return *std::move(refusal);
        }
    }
    if (resource == Resource::topic) {
        keep_fence_whole(current, entries);
    }
    if (auto refusal = check_together(resource, current, entries, config)) {
        return *std::move(refusal);
    }
    return changes_between(current, entries);
}

Altered replace(Resource resource, const Entries& current, const Entries& wanted,
                const BrokerConfig& config) {
    std::vector<Alteration> asked;
    for (const auto& [name, value] : wanted) {
        const auto found = current.find(name);
        if (found == current.end() || found->second != value) {
            asked.push_back({name, AlterOp::set, value});
        }
    }
    for (const auto& [name, value] : current) {
        // A mirror link's notes are no client's to replace.
        const Option* option = option_for(resource, name);
        const bool kept = option != nullptr && option->update == Update::read_only;
        if (wanted.count(name) == 0 && !kept) {
            asked.push_back({name, AlterOp::remove, std::nullopt});
        }
    }
    return alter(resource, current, asked, config);
}

Altered check_new_topic(const Entries& wanted, const BrokerConfig& config) {
    return replace(Resource::topic, {}, wanted, config);
}

}  // namespace millrace::config
