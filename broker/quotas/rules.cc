#include "quotas/rules.h"

namespace millrace::quotas {
namespace {

constexpr std::array<std::string_view, kinds> names{
    "producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"};
constexpr std::string_view connection_rate = "connection_creation_rate";

}  // namespace

void Rules::add(const Entity& entity, const std::map<std::string, double>& values) {
    if (entity.size() == 1 && entity.front().first == "ip") {
        if (const auto found = values.find(std::string(connection_rate)); found != values.end()) {
            addresses_[entity.front().second] = found->second;
        }
        return;
    }
    Rates rates;
    bool any = false;
    for (std::size_t kind = 0; kind < kinds; ++kind) {
        if (const auto found = values.find(std::string(names[kind])); found != values.end()) {
            rates[kind] = found->second;
            any = true;
        }
    }
    if (any) {
        rates_[entity] = rates;
    }
}

std::optional<Bound> Rules::find(Kind kind, const std::string& user,
                                 const std::string& client) const {
    using Name = std::optional<std::string>;
    constexpr auto client_id = "client-id";
    const auto both = [&](const Name& a, const Name& b) {
        return Entity{{client_id, b}, {"user", a}};
    };
    const std::array<std::pair<Entity, Share>, 8> by_precedence{{
        {both(user, client), {user, client}},
        {both(user, std::nullopt), {user, client}},
        {Entity{{"user", user}}, {user, std::nullopt}},
        {both(std::nullopt, client), {user, client}},
        {both(std::nullopt, std::nullopt), {user, client}},
        {Entity{{"user", std::nullopt}}, {user, std::nullopt}},
        {Entity{{client_id, client}}, {std::nullopt, client}},
        {Entity{{client_id, std::nullopt}}, {std::nullopt, client}},
    }};
    for (const auto& [entity, share] : by_precedence) {
        const auto found = rates_.find(entity);
        if (found == rates_.end()) {
            continue;
        }
        if (const auto& rate = found->second[static_cast<std::size_t>(kind)]) {
            return Bound{*rate, share};
        }
    }
    return std::nullopt;
}

std::optional<double> Rules::connections_from(const std::string& address) const {
    auto found = addresses_.find(address);
    if (found == addresses_.end()) {
        found = addresses_.find(std::nullopt);
    }
    return found != addresses_.end() ? std::optional(found->second) : std::nullopt;
}

}  // namespace millrace::quotas
