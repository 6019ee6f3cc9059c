// quotas/rules.h
//
// Which quota is whose (KIP-13, 55, 546, 599, 612): for a kind of work the most particular entity
// that has one decides, users before client ids, and says whose work it adds up. Pure.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::quotas {

enum class Kind : unsigned char {
    produce,   ///< producer_byte_rate
    fetch,     ///< consumer_byte_rate
    request,   ///< request_percentage: of one loop's time
    mutation,  ///< controller_mutation_rate: partitions created and deleted, a second
};
inline constexpr std::size_t kinds = 4;

/// Whose work counts together; what isn't set is not told apart.
struct Share {
    std::optional<std::string> user;
    std::optional<std::string> client;
    friend auto operator<=>(const Share&, const Share&) = default;
};

struct Bound {
    double rate = 0;
    Share share;
};

class Rules {
public:
    /// Parts by type (user, client-id, ip), ascending; without a name: the default of that type.
    using Entity = std::vector<std::pair<std::string, std::optional<std::string>>>;

    void add(const Entity& entity, const std::map<std::string, double>& values);

    bool empty() const { return rates_.empty() && addresses_.empty(); }
    bool bounds_clients() const { return !rates_.empty(); }
    bool bounds_addresses() const { return !addresses_.empty(); }
    std::optional<Bound> find(Kind kind, const std::string& user, const std::string& client) const;
    /// connection_creation_rate: connections a second.
    std::optional<double> connections_from(const std::string& address) const;

private:
    using Rates = std::array<std::optional<double>, kinds>;

    std::map<Entity, Rates> rates_;
    std::map<std::optional<std::string>, double> addresses_;
};

}  // namespace millrace::quotas
