// config/listeners.h
//
// listeners, advertised.listeners, the protocol map and who uses which listener, read together.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace millrace::config {

/// Kafka's numbers.
enum class SecurityProtocol : std::int16_t {
    plaintext = 0,
    ssl = 1,
    sasl_plaintext = 2,
    sasl_ssl = 3
};

std::string_view to_string(SecurityProtocol protocol);

struct ListenerSpec {
    std::string name;  ///< In capitals.
    std::string host;  ///< Empty: every interface.
    std::uint16_t port = 0;
    SecurityProtocol protocol = SecurityProtocol::plaintext;
    std::string advertised_host;        ///< Empty: this machine's name.
    std::uint16_t advertised_port = 0;  ///< 0: the port that `port` 0 became.
    bool controller = false;            ///< Serves the metadata quorum; not advertised to clients.
    bool inter_broker = false;          ///< Brokers use it among themselves.
};

struct HostPort {
    std::string host;  ///< Empty: every interface.
    std::uint16_t port = 0;
};
/// "127.0.0.1:9095", "[::1]:9095" or ":9095".
Result<HostPort> parse_host_port(std::string_view text);
bool is_loopback(std::string_view host);

/// What the map says of a listener that others may have; controller listeners not named there are
/// plaintext. The error names the setting.
Result<SecurityProtocol> protocol_of(const BrokerValues& values, std::string_view listener);

struct ListenerFault {
    std::string_view key;
    std::string what;
    std::vector<std::string_view> also{};  ///< Other settings that it comes of.
};

/// In the order given, and all that is wrong; with a fault it is not to be listened on.
std::vector<ListenerSpec> read_listeners(const BrokerValues& values,
                                         std::vector<ListenerFault>& faults);
/// The same, with the first fault for an error.
Result<std::vector<ListenerSpec>> read_listeners(const BrokerValues& values);

/// How many connections one address may have.
struct AddressLimit {
    std::string address;
    std::int32_t limit = 0;
    bool is_name = false;  ///< `address` is one that has to be looked up.
};
/// max.connections.per.ip.overrides, without what is wrong in it.
std::vector<AddressLimit> connection_overrides(const BrokerValues& values,
                                               std::vector<ListenerFault>& faults);
std::vector<AddressLimit> connection_overrides(const BrokerValues& values);

}  // namespace millrace::config
