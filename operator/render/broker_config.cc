#include "operator/render/broker_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/core.h>

#include "config/alter.h"
#include "config/config.h"
#include "config/option.h"

namespace millrace::render {

namespace {

constexpr std::string_view replication_listener = "REPLICATION";
constexpr std::string_view controller_listener = "CONTROLLER";

/// Set by the operator from the rest of the spec; a prefix ends in '*'.
constexpr std::array owned = {
    std::string_view{"advertised.listeners"},
    std::string_view{"broker.id"},
    std::string_view{"broker.rack"},
    std::string_view{"cluster.id"},
    std::string_view{"controller.listener.names"},
    std::string_view{"controller.quorum.auto.join.enable"},
    std::string_view{"controller.quorum.bootstrap.servers"},
    std::string_view{"controller.quorum.voters"},
    std::string_view{"early.start.listeners"},
    std::string_view{"inter.broker.listener.name"},
    std::string_view{"listener.security.protocol.map"},
    std::string_view{"listeners"},
    std::string_view{"log.dir"},
    std::string_view{"log.dirs"},
    std::string_view{"metadata.log.dir"},
    std::string_view{"millrace.admin.*"},
    std::string_view{"millrace.config.ignore"},
    std::string_view{"millrace.cordoned"},
    std::string_view{"millrace.log.file"},
    std::string_view{"millrace.metrics.listener"},
    std::string_view{"node.id"},
    std::string_view{"process.roles"},
    std::string_view{"security.inter.broker.protocol"},
    std::string_view{"ssl.*"},
};

bool is_owned(std::string_view key) {
    if (key.starts_with("listener.name.") && key.find(".ssl.") != std::string_view::npos) {
        return true;
    }
    return std::any_of(owned.begin(), owned.end(), [&](std::string_view one) {
        return one.ends_with('*') ? key.starts_with(one.substr(0, one.size() - 1)) : key == one;
    });
}

/// A value on one line, as a properties file wants it.
std::string escaped(std::string_view value) {
    std::string out;
    for (const char c : value) {
        switch (c) {
            case '\\':
                out += "\\\\";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\r':
                out += "\\r";
                break;
            case '\t':
                out += "\\t";
                break;
            default:
                out += c;
        }
    }
    return out;
}

std::string unescaped(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '\\' || at + 1 == text.size()) {
            out += text[at];
            continue;
        }
        const char c = text[++at];
        out += c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
    }
    return out;
}

std::string joined(const std::vector<std::string>& parts) {
    std::string text;
    for (const std::string& part : parts) {
        text += (text.empty() ? "" : ",") + part;
    }
    return text;
}

std::string protocol_map(const BrokerSettings& settings) {
    const std::string_view among_brokers = settings.broker_tls ? "SSL" : "PLAINTEXT";
    std::vector<std::string> parts = {fmt::format("{}:{}", replication_listener, among_brokers),
                                      fmt::format("{}:{}", controller_listener, among_brokers)};
    for (const api::ListenerSpec& listener : settings.listeners) {
        parts.push_back(
            fmt::format("{}:{}", listener_word(listener.name), listener.tls ? "SSL" : "PLAINTEXT"));
    }
    return joined(parts);
}

std::string roles_text(Roles roles) {
    std::vector<std::string> words;
    if (roles.broker) {
        words.emplace_back("broker");
    }
    if (roles.controller) {
        words.emplace_back("controller");
    }
    return joined(words);
}

std::string advertised_listeners(const BrokerSettings& settings) {
    std::vector<std::string> parts;
    if (settings.roles.broker) {
        parts.push_back(fmt::format("{}://{}:{}", replication_listener, settings.host,
                                    api::owned_port::replication));
    }
    if (settings.roles.controller) {
        parts.push_back(fmt::format("{}://{}:{}", controller_listener, settings.host,
                                    api::owned_port::controller));
    }
    for (const api::ListenerSpec& listener : settings.listeners) {
        const auto found = settings.advertised.find(listener.name);
        parts.push_back(fmt::format("{}://{}", listener_word(listener.name),
                                    found != settings.advertised.end()
                                        ? found->second
                                        : fmt::format("{}:{}", settings.host, listener.port)));
    }
    return joined(parts);
}

/// A certificate of the cluster's own authority, which replaces them in place: addresses come and
/// go with the listeners' spec. Peers that must show one must have it from there too.
void add_tls(api::Texts& lines, std::string word, bool peers_show_theirs) {
    std::transform(word.begin(), word.end(), word.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    const auto set = [&](std::string_view name, std::string value) {
        lines[fmt::format("listener.name.{}.ssl.{}", word, name)] = std::move(value);
    };
    set("keystore.type", "PEM");
    set("keystore.location", fmt::format("{}/{}", certificate_directory, key_store_file));
    set("truststore.type", "PEM");
    set("truststore.location", fmt::format("{}/ca.crt", certificate_directory));
    set("client.auth", peers_show_theirs ? "required" : "none");
    set("allow.san.changes", "true");
}

std::string voter_list(const std::vector<Place>& voters) {
    std::vector<std::string> parts;
    for (const Place& voter : voters) {
        parts.push_back(fmt::format("{}@{}:{}", voter.id, voter.host, api::owned_port::controller));
    }
    return joined(parts);
}

constexpr std::string_view told_mark = "#: ";

std::string text_of(const api::Texts& settings, const api::Texts& told) {
    std::string text = "# Written by the operator: change the Cluster, not this.\n";
    for (const auto& [key, value] : settings) {
        text += fmt::format("{}={}\n", key, escaped(value));
    }
    if (!told.empty()) {
        text += "# In the cluster's metadata, for all brokers:\n";
    }
    for (const auto& [key, value] : told) {
        text += fmt::format("{}{}={}\n", told_mark, key, escaped(value));
    }
    return text;
}

/// Of the lines that begin with `mark`.
api::Texts settings_behind(std::string_view mark, const std::string& properties) {
    api::Texts settings;
    for (std::size_t at = 0; at < properties.size();) {
        const std::size_t end = std::min(properties.find('\n', at), properties.size());
        std::string line = properties.substr(at, end - at);
        at = end + 1;
        if (!line.starts_with(mark)) {
            continue;
        }
        line.erase(0, mark.size());
        const std::size_t equals = line.find('=');
        if (equals != std::string::npos && !line.starts_with('#')) {
            settings[line.substr(0, equals)] = unescaped(line.substr(equals + 1));
        }
    }
    return settings;
}

Problem problem_of(const config::Problem& from) {
    // What may be passed over is for us to say: a Cluster has no settings of other products.
    std::string remedy = from.remedy;
    if (remedy.find("millrace.config.ignore") != std::string::npos) {
        remedy = "delete the line";
    }
    std::string message = from.what;
    if (!remedy.empty()) {
        message += "; " + remedy;
    }
    return {fmt::format("spec.config[{}]", from.key), std::move(message)};
}

}  // namespace

std::string listener_word(const std::string& name) {
    std::string word = name;
    std::transform(word.begin(), word.end(), word.begin(), [](char c) {
        if (c >= 'a' && c <= 'z') {
            return static_cast<char>(c - 32);
        }
        return c == '-' ? '_' : c;
    });
    return word;
}

std::string volume_directory(std::int32_t volume) {
    return fmt::format("/var/lib/millrace/{}", volume);
}

bool is_dynamic(std::string_view key) {
    const config::Option* option = config::find_option(config::Scope::broker, key);
    return option != nullptr && option->update == config::Update::cluster_wide;
}

api::Texts needing_restart(const api::Texts& config) {
    api::Texts rest;
    for (const auto& [key, value] : config) {
        if (!is_dynamic(key)) {
            rest.emplace(key, value);
        }
    }
    return rest;
}

api::Texts taken_while_running(const api::Texts& config) {
    api::Texts taken;
    for (const auto& [key, value] : config) {
        if (is_dynamic(key)) {
            taken.emplace(key, value);
        }
    }
    return taken;
}

std::optional<std::string> value_instead_of_none(std::string_view key) {
    if (key != "min.insync.replicas") {  // Has one value for the cluster since KIP-966.
        return std::nullopt;
    }
    return config::find_option(config::Scope::broker, key)->fallback;
}

std::vector<Problem> check_config(const api::Texts& config) {
    std::vector<Problem> problems;
    if (config.empty()) {
        return problems;
    }
    config::Source source;
    for (const auto& [key, value] : config) {
        if (is_owned(key)) {
            problems.push_back({fmt::format("spec.config[{}]", key),
                                "the operator sets it from the rest of the spec; remove it"});
            continue;
        }
        source.text += fmt::format("{}={}\n", key, escaped(value));
    }
    source.file_name = "spec.config";
    for (const config::Problem& error : config::load(source).errors) {
        problems.push_back(problem_of(error));
    }
    // Kafka takes less, and its brokers can't speak with each other any more.
    constexpr std::int64_t least_request = 1 << 20;
    const auto largest = config.find("socket.request.max.bytes");
    std::int64_t bytes = 0;
    if (largest != config.end() &&
        std::from_chars(largest->second.data(), largest->second.data() + largest->second.size(),
                        bytes)
                .ec == std::errc() &&
        bytes < least_request && problems.empty()) {
        problems.push_back({"spec.config[socket.request.max.bytes]",
                            fmt::format("{} is too little for what brokers send each other: write "
                                        "{} or more, or leave it out",
                                        bytes, least_request)});
    }
    return problems;
}

std::vector<std::string> wrong_topic_settings(const api::Texts& settings) {
    const config::BrokerConfig defaults(std::make_shared<const config::Given>());
    std::vector<std::string> wrong;
    for (const auto& [key, value] : settings) {
        const config::Altered answer = config::check_new_topic({{key, value}}, defaults);
        if (const auto* refusal = std::get_if<config::Refusal>(&answer)) {
            wrong.push_back(refusal->message);
        }
    }
    return wrong;
}

std::string properties_text(const BrokerSettings& settings) {
    api::Texts lines = needing_restart(settings.config);
    std::vector<std::string> directories;
    for (const std::int32_t volume : settings.volumes) {
        directories.push_back(volume_directory(volume) + "/log");
    }
    lines["cluster.id"] = settings.cluster_id;
    lines["node.id"] = std::to_string(settings.id);
    lines["process.roles"] = roles_text(settings.roles);
    lines["controller.quorum.voters"] = voter_list(settings.voters);
    lines["controller.listener.names"] = controller_listener;
    lines["inter.broker.listener.name"] = replication_listener;
    lines["listener.security.protocol.map"] = protocol_map(settings);
    lines["advertised.listeners"] = advertised_listeners(settings);
    lines["log.dirs"] = joined(directories);
    if (!settings.rack.empty()) {
        lines["broker.rack"] = settings.rack;
    }
    lines.try_emplace("millrace.supervisor", "exit");  // the kubelet starts it again
    if (!lines.contains(
            "default.replication.factor")) {  // A topic with one replica dies with a disk.
        lines.try_emplace(std::string(default_replicas_key),
                          std::to_string(api::default_topic_replicas));
    }
    lines.try_emplace("replica.selector.class",
                      "org.apache.kafka.common.replica.RackAwareReplicaSelector");
    if (settings.links_key) {  // a person's own goes first
        lines.try_emplace("millrace.links.key.file", fmt::format("{}/key", links_key_directory));
    }
    if (settings.admin_tls) {
        lines["millrace.admin.tls.certificate"] = fmt::format("{}/tls.crt", certificate_directory);
        lines["millrace.admin.tls.key"] = fmt::format("{}/tls.key", certificate_directory);
        lines["millrace.admin.tls.client.ca"] = fmt::format("{}/ca.crt", certificate_directory);
    }
    if (settings.broker_tls) {
        for (const std::string_view listener : {replication_listener, controller_listener}) {
            add_tls(lines, std::string(listener), true);
        }
    }
    for (const api::ListenerSpec& listener : settings.listeners) {
        if (listener.tls) {
            add_tls(lines, listener_word(listener.name), listener.auth == api::ListenerAuth::tls);
        }
    }
    return text_of(lines, settings.told);
}

api::Texts settings_in(const std::string& properties) {
    return settings_behind("", properties);
}

api::Texts told_in(const std::string& properties) {
    return settings_behind(told_mark, properties);
}

std::string advertised_host(const std::string& properties, const std::string& listener) {
    const api::Texts lines = settings_in(properties);
    const auto all = lines.find("advertised.listeners");
    const std::string text = all == lines.end() ? "" : "," + all->second + ",";
    const std::string before = fmt::format(",{}://", listener_word(listener));
    const std::size_t at = text.find(before);
    if (at == std::string::npos) {
        return "";
    }
    const std::size_t begin = at + before.size();
    const std::string place = text.substr(begin, text.find(',', begin) - begin);
    return place.substr(0, place.rfind(':'));
}

std::string with_told(const std::string& properties, const api::Texts& told) {
    const api::Texts had = settings_in(properties);
    api::Texts lines = needing_restart(had);
    if (const auto ours = had.find(default_replicas_key); ours != had.end()) {
        lines.insert(*ours);
    }
    return text_of(lines, told);
}

std::vector<std::string> arguments(const std::vector<api::ListenerSpec>& listeners, Roles roles,
                                   const std::string& rack) {
    std::vector<std::string> sockets;
    if (roles.broker) {
        sockets.push_back(
            fmt::format("{}://$(POD_IP):{}", replication_listener, api::owned_port::replication));
    }
    if (roles.controller) {
        sockets.push_back(
            fmt::format("{}://$(POD_IP):{}", controller_listener, api::owned_port::controller));
    }
    for (const api::ListenerSpec& listener : listeners) {
        sockets.push_back(
            fmt::format("{}://$(POD_IP):{}", listener_word(listener.name), listener.port));
    }
    return {
        "--config", fmt::format("{}/server.properties", config_directory),
        "--set",    "listeners=" + joined(sockets),
        "--set",    fmt::format("millrace.admin.listener=$(POD_IP):{}", api::owned_port::admin),
        "--set",    fmt::format("millrace.metrics.listener=$(POD_IP):{}", api::owned_port::metrics),
        "--set",    "broker.rack=" + rack};
}

}  // namespace millrace::render
