#include "config/listeners.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "config/internal/text.h"

namespace millrace::config {

namespace {

struct Address {
    std::string name;
    std::string host;
    std::uint16_t port = 0;
};

std::string upper(std::string_view text) {
    std::string out{text};
    std::transform(out.begin(), out.end(), out.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    return out;
}

/// NAME://host:port, the host possibly empty or in brackets.
Result<Address> parse_address(std::string_view setting, std::string_view text) {
    const auto malformed = [&] {
        return Error::make(Code::invalid, "{}: '{}' is not NAME://host:port", setting, text);
    };
    const std::size_t scheme = text.find("://");
    const std::size_t colon = text.rfind(':');
    if (scheme == std::string_view::npos || scheme == 0 || colon < scheme + 3) {
        return malformed();
    }
    std::string_view host = text.substr(scheme + 3, colon - scheme - 3);
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
    }
    const std::string_view digits = text.substr(colon + 1);
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc{} || end != digits.data() + digits.size()) {
        return malformed();
    }
    return Address{upper(text.substr(0, scheme)), std::string{host}, port};
}

Result<std::vector<Address>> parse_addresses(std::string_view setting,
                                             const std::vector<std::string>& texts) {
    std::vector<Address> addresses;
    for (const std::string& text : texts) {
        MR_TRY(Address address, parse_address(setting, text));
        for (const Address& other : addresses) {
            if (other.name == address.name) {
                return Error::make(Code::invalid, "{}: the name {} is used twice", setting,
                                   address.name);
            }
        }
        addresses.push_back(std::move(address));
    }
    return addresses;
}

std::optional<SecurityProtocol> parse_protocol(std::string_view text) {
    for (const SecurityProtocol protocol :
         {SecurityProtocol::plaintext, SecurityProtocol::ssl, SecurityProtocol::sasl_plaintext,
          SecurityProtocol::sasl_ssl}) {
        if (equal_ignoring_case(text, to_string(protocol))) {
            return protocol;
        }
    }
    return std::nullopt;
}

using ProtocolMap = std::map<std::string, SecurityProtocol, std::less<>>;

Result<ProtocolMap> parse_protocol_map(std::string_view text) {
    ProtocolMap map;
    std::vector<std::string> pairs = split_list(text);
    while (!pairs.empty() && pairs.back().empty()) {  // Kafka drops them, and people generate them.
        pairs.pop_back();
    }
    for (const std::string& pair : pairs) {
        const std::size_t colon = pair.find(':');
        const auto protocol =
            colon == std::string::npos
                ? std::nullopt
                : parse_protocol(trimmed(std::string_view{pair}.substr(colon + 1)));
        if (!protocol) {
            return Error::make(Code::invalid,
                               "listener.security.protocol.map: '{}' is not NAME:PROTOCOL with one "
                               "of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL",
                               pair);
        }
        map[upper(trimmed(std::string_view{pair}.substr(0, colon)))] = *protocol;
    }
    return map;
}

bool is_named(const std::vector<std::string>& names, std::string_view name) {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& one) { return equal_ignoring_case(one, name); });
}

Result<void> fill_protocols(std::vector<ListenerSpec>& listeners, const ProtocolMap& map) {
    for (ListenerSpec& listener : listeners) {
        const auto mapped = map.find(listener.name);
        const auto protocol = mapped != map.end()   ? std::optional{mapped->second}
                              : listener.controller ? std::optional{SecurityProtocol::plaintext}
                                                    : std::nullopt;
        if (!protocol) {
            return Error::make(Code::invalid,
                               "listeners: listener.security.protocol.map has no entry for {}",
                               listener.name);
        }
        listener.protocol = *protocol;
    }
    return {};
}

Result<void> fill_advertised(std::vector<ListenerSpec>& listeners,
                             const std::vector<Address>& advertised) {
    // What advertised.listeners leaves out, as it mostly does with the controllers' listener, is
    // told as it listens.
    for (ListenerSpec& listener : listeners) {
        const bool anywhere = listener.host == "0.0.0.0" || listener.host == "::";
        listener.advertised_host = anywhere ? "" : listener.host;
        listener.advertised_port = listener.port;
    }
    for (const Address& address : advertised) {
        const auto listener =
            std::find_if(listeners.begin(), listeners.end(),
                         [&](const ListenerSpec& one) { return one.name == address.name; });
        if (listener == listeners.end()) {
            return Error::make(Code::invalid, "advertised.listeners: listeners has no {}",
                               address.name);
        }
        if (address.host == "0.0.0.0") {
            return Error::make(Code::invalid,
                               "advertised.listeners: nobody can connect to 0.0.0.0; name the host "
                               "that clients reach");
        }
        listener->advertised_host = address.host;
        listener->advertised_port = address.port;
    }
    return {};
}

Result<void> choose_inter_broker(std::vector<ListenerSpec>& listeners, const BrokerValues& values) {
    const std::string& name = values.get(broker_option::inter_broker_listener_name);
    const auto protocol = parse_protocol(values.get(broker_option::security_inter_broker_protocol));
    for (ListenerSpec& listener : listeners) {
        const bool chosen =
            name.empty() ? listener.protocol == protocol : equal_ignoring_case(listener.name, name);
        if (chosen && !listener.controller) {
            listener.inter_broker = true;
            return {};
        }
    }
    // A lone listener of another protocol leaves no doubt which one brokers use.
    const auto lone = std::find_if(listeners.begin(), listeners.end(),
                                   [](const ListenerSpec& one) { return !one.controller; });
    if (lone == listeners.end()) {
        return {};  // a node that is only a controller
    }
    if (!name.empty()) {
        return Error::make(Code::invalid,
                           "inter.broker.listener.name: {} is no listener of brokers in listeners",
                           name);
    }
    lone->inter_broker = true;
    return {};
}

}  // namespace

std::string_view to_string(SecurityProtocol protocol) {
    switch (protocol) {
        case SecurityProtocol::plaintext:
            return "PLAINTEXT";
        case SecurityProtocol::ssl:
            return "SSL";
        case SecurityProtocol::sasl_plaintext:
            return "SASL_PLAINTEXT";
        case SecurityProtocol::sasl_ssl:
            return "SASL_SSL";
    }
    return "unknown";
}

Result<HostPort> parse_host_port(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    std::string_view host = text.substr(0, colon == std::string_view::npos ? 0 : colon);
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
    }
    const std::string_view digits = text.substr(colon == std::string_view::npos ? 0 : colon + 1);
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (colon == std::string_view::npos || error != std::errc{} ||
        end != digits.data() + digits.size()) {
        return Error::make(Code::invalid, "'{}' is not host:port", text);
    }
    return HostPort{std::string{host}, port};
}

bool is_loopback(std::string_view host) {
    return host == "localhost" || host == "::1" || host.starts_with("127.");
}

Result<SecurityProtocol> protocol_of(const BrokerValues& values, std::string_view listener) {
    MR_TRY(const auto map,
           parse_protocol_map(values.get(broker_option::listener_security_protocol_map)));
    // It need not be a listener of this node: a controller's map may leave out those of brokers.
    if (const auto named = parse_protocol(listener); named && !map.contains(upper(listener))) {
        return *named;
    }
    std::vector<ListenerSpec> one(1);
    one.front().name = upper(listener);
    one.front().controller =
        is_named(values.get(broker_option::controller_listener_names), listener);
    MR_TRY_VOID(fill_protocols(one, map));
    return one.front().protocol;
}

Result<std::vector<ListenerSpec>> read_listeners(const BrokerValues& values) {
    MR_TRY(const auto addresses,
           parse_addresses("listeners", values.get(broker_option::listeners)));
    MR_TRY(const auto advertised, parse_addresses("advertised.listeners",
                                                  values.get(broker_option::advertised_listeners)));
    MR_TRY(const auto map,
           parse_protocol_map(values.get(broker_option::listener_security_protocol_map)));
    const auto& controllers = values.get(broker_option::controller_listener_names);
    std::vector<ListenerSpec> listeners;
    for (const Address& address : addresses) {
        for (const ListenerSpec& other : listeners) {
            if (address.port != 0 && other.port == address.port && other.host == address.host) {
                return Error::make(Code::invalid, "listeners: {} and {} have the same port {}",
                                   other.name, address.name, address.port);
            }
        }
        ListenerSpec listener;
        listener.name = address.name;
        listener.host = address.host;
        listener.port = address.port;
        listener.controller = is_named(controllers, address.name);
        listeners.push_back(std::move(listener));
    }
    if (listeners.empty()) {
        return Error(Code::invalid, "listeners: there must be one, as in PLAINTEXT://:9092");
    }
    MR_TRY_VOID(fill_protocols(listeners, map));
    MR_TRY_VOID(fill_advertised(listeners, advertised));
    MR_TRY_VOID(choose_inter_broker(listeners, values));
    return listeners;
}

}  // namespace millrace::config
