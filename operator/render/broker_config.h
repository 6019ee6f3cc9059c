// operator/render/broker_config.h
//
// A broker's settings: the file that its pod mounts, the arguments that only its pod can fill in
// (its own address and rack), and what is wrong with a `spec.config`. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "operator/api/cluster.h"

namespace millrace::render {

struct Problem {
    std::string field;    ///< "spec.config[log.segment.bytes]"
    std::string message;  ///< What is wrong, and what to write instead.
};

/// Keys that nobody but the operator sets, values that the broker would refuse, settings that
/// contradict each other.
std::vector<Problem> check_config(const api::Texts& config);

/// A sentence for each of a topic's settings that brokers of our version would refuse by itself.
std::vector<std::string> wrong_topic_settings(const api::Texts& settings);

/// Takes effect in running brokers; anything else needs a restart.
/// Replicas of topics that clients make without saying; brokers take it while they run.
inline constexpr std::string_view default_replicas_key = "millrace.topics.default.replicas";

bool is_dynamic(std::string_view key);
api::Texts taken_while_running(const api::Texts& config);
/// What to set where such a setting is to be taken back and Kafka has no way to remove it.
std::optional<std::string> value_instead_of_none(std::string_view key);
/// What of it only a restart brings into effect.
api::Texts needing_restart(const api::Texts& config);

/// Where one member is reached by others.
struct Place {
    std::int32_t id = 0;
    std::string host;  ///< A name, or an address where there are no names.
};

struct Roles {
    bool broker = true;
    bool controller = false;
};

struct BrokerSettings {
    std::string cluster_id;
    std::int32_t id = 0;
    Roles roles;
    std::vector<Place> voters;
    std::string rack;                               ///< Empty: its pod says it.
    std::string host;                               ///< Advertised among brokers.
    std::map<std::string, std::string> advertised;  ///< "host:port" by listener's name.
    std::vector<api::ListenerSpec> listeners;       ///< None on a dedicated controller.
    std::vector<std::int32_t> volumes;              ///< Ids.
    api::Texts config;
    /// Settings that the cluster's metadata was told for all brokers. They only stand in the text,
    /// for us: what a broker reads from its file it keeps until it is restarted.
    api::Texts told;
    bool admin_tls = false;
    bool broker_tls = false;  ///< Among brokers and controllers, both ways.
    bool links_key = false;   ///< Its pod mounts the key for passwords of links.
};

/// server.properties
std::string properties_text(const BrokerSettings& settings);

/// The settings that a text of properties_text() holds for its broker, and those that the cluster
/// was told.
api::Texts settings_in(const std::string& properties);
api::Texts told_in(const std::string& properties);

/// Where clients of a listener are told to find the broker; empty: the text doesn't have it.
std::string advertised_host(const std::string& properties, const std::string& listener);

/// The same text, with others that the cluster was told: of a broker that waits for its restart.
std::string with_told(const std::string& properties, const api::Texts& told);

/// Arguments of the broker program in its pod, in terms of $(POD_IP) and $(RACK).
/// `rack` is a text or "$(RACK)".
std::vector<std::string> arguments(const std::vector<api::ListenerSpec>& listeners, Roles roles,
                                   const std::string& rack);

/// "PLAIN" for "plain": Kafka writes listener names in capitals.
std::string listener_word(const std::string& name);

inline constexpr const char* config_directory = "/etc/millrace";
inline constexpr const char* certificate_directory = "/etc/millrace-tls";
inline constexpr const char* links_key_directory = "/etc/millrace-links";
/// Key and certificate in one, as Kafka's PEM key stores are.
inline constexpr const char* key_store_file = "broker.pem";
std::string volume_directory(std::int32_t volume);

}  // namespace millrace::render
