#include "raft/quorum_config.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace millrace::raft {

namespace {

template <typename T>
std::optional<T> to_number(std::string_view digits) {
    T value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    const bool is_whole = error == std::errc() && end == digits.data() + digits.size();
    return is_whole ? std::optional(value) : std::nullopt;
}

std::string_view trim(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::vector<std::string_view> split(std::string_view list) {
    std::vector<std::string_view> parts;
    while (!trim(list).empty()) {
        const std::size_t comma = std::min(list.find(','), list.size());
        parts.push_back(trim(list.substr(0, comma)));
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return parts;
}

Result<Endpoint> parse_endpoint(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0) {
        return Error::make(Code::invalid, "'{}' is not host:port", text);
    }
    std::string_view host = text.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
    } else if (host.find(':') != std::string_view::npos) {
        return Error::make(Code::invalid, "'{}': write an IPv6 address in brackets", text);
    }
    const auto port = to_number<std::uint16_t>(text.substr(colon + 1));
    if (!port || host.empty()) {
        return Error::make(Code::invalid, "'{}' is not host:port", text);
    }
    return Endpoint{std::string(host), *port};
}

bool is_this_machine(std::string_view host) {
    return host == "localhost" || host == "127.0.0.1" || host == "::1";
}

/// "kafka-1" and "kafka-1.example.com" are one; two domains or two addresses are not.
bool is_same_host(std::string_view a, std::string_view b) {
    const std::string_view& longer = a.size() < b.size() ? b : a;
    const std::string_view& shorter = a.size() < b.size() ? a : b;
    if (!longer.starts_with(shorter)) {
        return false;
    }
    const bool is_name = shorter.find('.') == std::string_view::npos &&
                         shorter.find_first_not_of("0123456789") != std::string_view::npos;
    return longer.size() == shorter.size() || (is_name && longer[shorter.size()] == '.');
}

}  // namespace

Result<std::vector<Voter>> parse_voters(std::string_view text, std::string_view listener_name) {
    std::vector<Voter> voters;
    for (const std::string_view part : split(text)) {
        const std::size_t at = part.find('@');
        const auto id = to_number<std::int32_t>(part.substr(0, std::min(at, part.size())));
        if (at == std::string_view::npos || !id || *id < 0) {
            return Error::make(Code::invalid, "controller.quorum.voters: '{}' is not id@host:port",
                               part);
        }
        const auto endpoint = parse_endpoint(part.substr(at + 1));
        if (!endpoint) {
            return endpoint.error().with_context("controller.quorum.voters");
        }
        const auto before = std::find_if(voters.begin(), voters.end(), [&](const Voter& voter) {
            return voter.key.id.value == *id;
        });
        if (before != voters.end()) {
            if (before->listeners.front().endpoint == *endpoint) {
                continue;
            }
            return Error::make(Code::invalid,
                               "controller.quorum.voters: {} is named twice, at two addresses",
                               *id);
        }
        voters.push_back(
            {{BrokerId{*id}, {}}, {{std::string(listener_name), *endpoint}}, VersionRange{}});
    }
    return voters;
}

Result<std::vector<Endpoint>> parse_bootstrap_servers(std::string_view text) {
    std::vector<Endpoint> servers;
    for (const std::string_view part : split(text)) {
        auto endpoint = parse_endpoint(part);
        if (!endpoint) {
            return endpoint.error().with_context("controller.quorum.bootstrap.servers");
        }
        servers.push_back(*std::move(endpoint));
    }
    return servers;
}

bool is_reached_at(const std::vector<Listener>& listeners, const Endpoint& address) {
    return std::any_of(listeners.begin(), listeners.end(), [&](const Listener& listener) {
        return listener.endpoint.port == address.port &&
               (is_this_machine(address.host) ||
                is_same_host(listener.endpoint.host, address.host));
    });
}

bool names_others(const QuorumConfig& config) {
    const auto is_other_voter = [&](const Voter& voter) { return voter.key.id != config.node_id; };
    const auto is_other_server = [&](const Endpoint& server) {
        return !is_reached_at(config.listeners, server);
    };
    return std::any_of(config.voters.begin(), config.voters.end(), is_other_voter) ||
           std::any_of(config.bootstrap_servers.begin(), config.bootstrap_servers.end(),
                       is_other_server);
}

}  // namespace millrace::raft
