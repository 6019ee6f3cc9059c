#include "config/listeners.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <variant>

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

using Faults = std::vector<ListenerFault>;

constexpr std::string_view listeners_key = "listeners";
constexpr std::string_view advertised_key = "advertised.listeners";
constexpr std::string_view map_key = "listener.security.protocol.map";
constexpr std::string_view protocol_key = "security.inter.broker.protocol";
constexpr std::string_view inter_broker_key = "inter.broker.listener.name";
constexpr std::string_view controllers_key = "controller.listener.names";
constexpr std::string_view overrides_key = "max.connections.per.ip.overrides";

/// NAME://host:port, the host possibly empty or in brackets; the string says what is wrong.
std::variant<Address, std::string> parse_address(std::string_view text) {
    const auto malformed = [&] { return fmt::format("'{}' is not NAME://host:port", text); };
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
    if (error == std::errc::result_out_of_range && is_digits(digits)) {
        return fmt::format("'{}': ports end at 65535", text);
    }
    if (error != std::errc{} || end != digits.data() + digits.size()) {
        return malformed();
    }
    return Address{upper(text.substr(0, scheme)), std::string{host}, port};
}

std::vector<Address> parse_addresses(std::string_view key, const std::vector<std::string>& texts,
                                     Faults& faults) {
    std::vector<Address> addresses;
    for (const std::string& text : texts) {
        auto parsed = parse_address(text);
        if (std::string* what = std::get_if<std::string>(&parsed)) {
            faults.push_back({key, std::move(*what)});
            continue;
        }
        Address& address = std::get<Address>(parsed);
        if (std::any_of(addresses.begin(), addresses.end(),
                        [&](const Address& other) { return other.name == address.name; })) {
            faults.push_back({key, fmt::format("the name {} is used twice", address.name)});
            continue;
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

ProtocolMap parse_protocol_map(std::string_view text, Faults& faults) {
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
            faults.push_back({map_key, fmt::format("'{}' is not NAME:PROTOCOL with one of "
                                                   "PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL",
                                                   pair)});
            continue;
        }
        map[upper(trimmed(std::string_view{pair}.substr(0, colon)))] = *protocol;
    }
    return map;
}

bool is_named(const std::vector<std::string>& names, std::string_view name) {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& one) { return equal_ignoring_case(one, name); });
}

std::optional<SecurityProtocol> protocol_in(const ProtocolMap& map, const ListenerSpec& listener) {
    const auto mapped = map.find(listener.name);
    return mapped != map.end()   ? std::optional{mapped->second}
           : listener.controller ? std::optional{SecurityProtocol::plaintext}
                                 : std::nullopt;
}

std::string has_no_entry(std::string_view name) {
    return fmt::format("listener.security.protocol.map has no entry for {}", name);
}

void fill_protocols(std::vector<ListenerSpec>& listeners, const ProtocolMap& map, Faults& faults) {
    for (ListenerSpec& listener : listeners) {
        if (const auto protocol = protocol_in(map, listener)) {
            listener.protocol = *protocol;
        } else {
            faults.push_back(
                {listeners_key, has_no_entry(listener.name), {map_key, controllers_key}});
        }
    }
}

void fill_advertised(std::vector<ListenerSpec>& listeners, const std::vector<Address>& advertised,
                     bool listeners_are_known, Faults& faults) {
    // What advertised.listeners leaves out, as it mostly does with the controllers' listener, is
    // told as it listens.
    for (ListenerSpec& listener : listeners) {
        const bool anywhere = listener.host == "0.0.0.0" || listener.host == "::";
        listener.advertised_host = anywhere ? "" : listener.host;
        listener.advertised_port = listener.port;
    }
    for (const Address& address : advertised) {
        if (address.host == "0.0.0.0") {
            faults.push_back({advertised_key,
                              "nobody can connect to 0.0.0.0; name the host that clients reach"});
            continue;
        }
        const auto listener =
            std::find_if(listeners.begin(), listeners.end(),
                         [&](const ListenerSpec& one) { return one.name == address.name; });
        if (listener == listeners.end()) {
            if (listeners_are_known) {
                faults.push_back({advertised_key,
                                  fmt::format("listeners has no {}", address.name),
                                  {listeners_key}});
            }
            continue;
        }
        listener->advertised_host = address.host;
        listener->advertised_port = address.port;
    }
}

void choose_inter_broker(std::vector<ListenerSpec>& listeners, const BrokerValues& values,
                         Faults& faults) {
    const std::string& name = values.get(broker_option::inter_broker_listener_name);
    const auto protocol = parse_protocol(values.get(broker_option::security_inter_broker_protocol));
    const bool is_told = protocol && *protocol != SecurityProtocol::plaintext;
    const auto contradicts = [&](const ListenerSpec& one) {
        return is_told && one.protocol != *protocol;
    };
    for (ListenerSpec& listener : listeners) {
        const bool chosen =
            name.empty() ? listener.protocol == protocol : equal_ignoring_case(listener.name, name);
        if (!chosen || listener.controller) {
            continue;
        }
        if (contradicts(listener)) {
            faults.push_back(
                {protocol_key,
                 fmt::format("is {}, and {}, which brokers use, speaks {}; remove it",
                             to_string(*protocol), listener.name, to_string(listener.protocol)),
                 {inter_broker_key, listeners_key}});
        }
        listener.inter_broker = true;
        return;
    }
    // A lone listener of another protocol leaves no doubt which one brokers use.
    const auto lone = std::find_if(listeners.begin(), listeners.end(),
                                   [](const ListenerSpec& one) { return !one.controller; });
    if (lone == listeners.end()) {
        return;  // a node that is only a controller
    }
    if (!name.empty()) {
        faults.push_back({inter_broker_key,
                          fmt::format("{} is no listener of brokers in listeners", name),
                          {listeners_key, controllers_key}});
        return;
    }
    if (contradicts(*lone)) {
        faults.push_back({protocol_key,
                          fmt::format("is {}, and no listener of brokers speaks it; add one to "
                                      "listeners, or remove this",
                                      to_string(*protocol)),
                          {listeners_key}});
        return;
    }
    lone->inter_broker = true;
}

Error error_of(const ListenerFault& fault) {
    return Error::make(Code::invalid, "{}: {}", fault.key, fault.what);
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
    Faults faults;
    const ProtocolMap map =
        parse_protocol_map(values.get(broker_option::listener_security_protocol_map), faults);
    if (!faults.empty()) {
        return error_of(faults.front());
    }
    // It need not be a listener of this node: a controller's map may leave out those of brokers.
    if (const auto named = parse_protocol(listener); named && !map.contains(upper(listener))) {
        return *named;
    }
    ListenerSpec one;
    one.name = upper(listener);
    one.controller = is_named(values.get(broker_option::controller_listener_names), listener);
    const auto protocol = protocol_in(map, one);
    return protocol ? Result<SecurityProtocol>(*protocol)
                    : error_of({listeners_key, has_no_entry(one.name)});
}

std::vector<ListenerSpec> read_listeners(const BrokerValues& values, Faults& faults) {
    const auto addresses =
        parse_addresses(listeners_key, values.get(broker_option::listeners), faults);
    const auto& controllers = values.get(broker_option::controller_listener_names);
    std::vector<ListenerSpec> listeners;
    for (const Address& address : addresses) {
        for (const ListenerSpec& other : listeners) {
            if (address.port != 0 && other.port == address.port && other.host == address.host) {
                faults.push_back(
                    {listeners_key, fmt::format("{} and {} have the same port {}", other.name,
                                                address.name, address.port)});
            }
        }
        ListenerSpec listener;
        listener.name = address.name;
        listener.host = address.host;
        listener.port = address.port;
        listener.controller = is_named(controllers, address.name);
        listeners.push_back(std::move(listener));
    }
    if (listeners.empty() && faults.empty()) {
        faults.push_back({listeners_key, "there must be one, as in PLAINTEXT://:9092"});
    }
    // What is concluded from something wrong would only hide it.
    const bool listeners_are_known = faults.empty();
    const auto advertised =
        parse_addresses(advertised_key, values.get(broker_option::advertised_listeners), faults);
    const std::size_t before = faults.size();
    const ProtocolMap map =
        parse_protocol_map(values.get(broker_option::listener_security_protocol_map), faults);
    if (faults.size() == before) {
        fill_protocols(listeners, map, faults);
    }
    fill_advertised(listeners, advertised, listeners_are_known, faults);
    if (listeners_are_known) {
        choose_inter_broker(listeners, values, faults);
    }
    return listeners;
}

namespace {

/// As the kernel names a peer.
bool is_address(std::string_view text) {
    const bool is_v6 = text.find(':') != std::string_view::npos;
    return (is_v6 || std::count(text.begin(), text.end(), '.') == 3) &&
           std::all_of(text.begin(), text.end(), [is_v6](char c) {
               return (c >= '0' && c <= '9') || c == '.' ||
                      (is_v6 && ((c >= 'a' && c <= 'f') || c == ':'));
           });
}

bool is_host_name(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' || c == '_';
    });
}

}  // namespace

std::vector<AddressLimit> connection_overrides(const BrokerValues& values, Faults& faults) {
    std::vector<AddressLimit> limits;
    for (const std::string& pair :
         split_list(trimmed(values.get(broker_option::max_connections_per_ip_overrides)))) {
        const std::size_t colon = std::min(pair.rfind(':'), pair.size());
        const std::string_view digits =
            std::string_view{pair}.substr(std::min(colon + 1, pair.size()));
        std::int32_t limit = 0;
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), limit);
        if (colon == 0 || !is_digits(digits) || error != std::errc{}) {
            faults.push_back({overrides_key, fmt::format("'{}' is not address:count", pair)});
            continue;
        }
        std::string_view address = std::string_view{pair}.substr(0, colon);
        if (address.size() > 2 && address.front() == '[' && address.back() == ']') {
            address = address.substr(1, address.size() - 2);
        }
        const bool is_name = !is_address(address);
        if (is_name && !is_host_name(address)) {
            faults.push_back({overrides_key,
                              fmt::format("'{}' is neither an address nor a host's name; give one, "
                                          "as in 10.0.0.1:{}",
                                          address, limit)});
            continue;
        }
        limits.push_back({std::string(address), limit, is_name});
    }
    return limits;
}

std::vector<AddressLimit> connection_overrides(const BrokerValues& values) {
    Faults faults;
    return connection_overrides(values, faults);
}

Result<std::vector<ListenerSpec>> read_listeners(const BrokerValues& values) {
    Faults faults;
    auto listeners = read_listeners(values, faults);
    return faults.empty() ? Result<std::vector<ListenerSpec>>(std::move(listeners))
                          : error_of(faults.front());
}

}  // namespace millrace::config
