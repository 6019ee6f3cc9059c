#include "app/internal/tls_node.h"

#include <algorithm>

#include "tls/filter.h"

namespace millrace::app {
namespace {

namespace option = config::broker_option;

/// One lane of the disk pool: of two readings the later one counts.
constexpr std::uint64_t lane = 0x746c73;

bool speaks_tls(config::SecurityProtocol protocol) {
    return protocol == config::SecurityProtocol::ssl ||
           protocol == config::SecurityProtocol::sasl_ssl;
}

std::string in_capitals(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c;
    });
    return text;
}

std::string in_small_letters(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    });
    return text;
}

tls::ClientAuth client_auth(const std::string& text) {
    return text == "required"    ? tls::ClientAuth::required
           : text == "requested" ? tls::ClientAuth::requested
                                 : tls::ClientAuth::none;
}

/// gRPC takes these files up by itself, and doesn't tell.
TlsNode::Reloaded admin_files(const std::string& certificate, const std::string& authorities,
                              runtime::Disk& disk) {
    TlsNode::Reloaded admin;
    admin.listener = "ADMIN";
    auto facts = tls::facts_of_files(certificate, authorities, disk);
    if (facts) {
        admin.facts = *std::move(facts);
    } else {
        admin.error = facts.error().message();
    }
    return admin;
}

}  // namespace

tls::Settings tls_settings(const config::BrokerConfig& config, const std::string& listener) {
    const config::BrokerValues values = config.broker_for_listener(listener);
    const std::string prefix = "listener.name." + in_small_letters(listener) + ".";
    const auto& given = config.given().entries;
    const auto first = given.lower_bound(prefix + "ssl.");
    tls::Settings settings;
    // A message names the setting as whoever reads it has written it.
    if (first != given.end() && first->first.starts_with(prefix + "ssl.")) {
        settings.prefix = prefix;
    }
    settings.key_store = {
        values.get(option::ssl_keystore_type), values.get(option::ssl_keystore_location),
        values.get(option::ssl_keystore_password),
        values.get(option::ssl_keystore_certificate_chain), values.get(option::ssl_keystore_key)};
    settings.trust_store = {values.get(option::ssl_truststore_type),
                            values.get(option::ssl_truststore_location),
                            values.get(option::ssl_truststore_password),
                            values.get(option::ssl_truststore_certificates),
                            {}};
    settings.key_password = values.get(option::ssl_key_password);
    settings.client_auth = client_auth(values.get(option::ssl_client_auth));
    settings.protocols = values.get(option::ssl_enabled_protocols);
    settings.cipher_suites = values.get(option::ssl_cipher_suites);
    settings.verify_host = !values.get(option::ssl_endpoint_identification_algorithm).empty();
    settings.principal_rules = values.get(option::ssl_principal_mapping_rules);
    settings.allow_name_change = values.get(option::ssl_allow_dn_changes);
    settings.allow_address_loss = values.get(option::ssl_allow_san_changes);
    settings.handshake_timeout =
        std::chrono::milliseconds{values.get(option::millrace_connection_first_request_timeout_ms)};
    settings.failure_delay =
        std::chrono::milliseconds{values.get(option::connection_failed_authentication_delay_ms)};
    return settings;
}

TlsNode::TlsNode(std::shared_ptr<const config::BrokerConfig> config, runtime::Node& node)
    : config_(std::move(config)), node_(node), log_(node.log()) {}

Result<std::shared_ptr<TlsNode>> TlsNode::open(std::shared_ptr<const config::BrokerConfig> config,
                                               const std::vector<config::ListenerSpec>& listeners,
                                               const std::vector<std::string>& dialed,
                                               runtime::Node& node) {
    auto made = std::make_shared<TlsNode>(config, node);
    for (const config::ListenerSpec& listener : listeners) {
        if (speaks_tls(listener.protocol)) {
            MR_TRY_VOID(made->add(listener.name, true));
        }
    }
    for (const std::string& name : dialed) {
        MR_TRY(const auto protocol, config::protocol_of(config->broker(), name));
        if (speaks_tls(protocol) && !made->contexts_.contains(in_capitals(name))) {
            MR_TRY_VOID(made->add(in_capitals(name), false));
        }
    }
    return made;
}

Result<void> TlsNode::add(const std::string& listener, bool serves) {
    MR_TRY(auto context, tls::Context::open(tls_settings(*config_, listener), node_.disk()));
    if (serves && !context->has_certificate()) {
        return Error::make(Code::invalid,
                           "ssl.keystore.location: listener {} speaks TLS and has no certificate; "
                           "set it and ssl.keystore.type=PEM, or ssl.keystore.certificate.chain "
                           "and ssl.keystore.key",
                           listener);
    }
    const tls::CertificateFacts facts = context->facts();
    MR_LOG(log_, info, "tls.ready", field("listener", listener), field("subject", facts.subject),
           field("serial", facts.serial), field("not_after_ms", facts.not_after.milliseconds));
    contexts_.emplace(listener, std::move(context));
    return {};
}

net::StreamWrapper TlsNode::served(const std::string& listener) const {
    const auto found = contexts_.find(in_capitals(listener));
    return found == contexts_.end() ? net::StreamWrapper{} : tls::server_filter(found->second);
}

net::StreamWrapper TlsNode::dialed(const std::string& listener) const {
    const auto found = contexts_.find(in_capitals(listener));
    return found == contexts_.end() ? net::StreamWrapper{} : tls::client_filter(found->second);
}

void TlsNode::start() {
    if (!contexts_.empty()) {
        look_later();
    }
}

void TlsNode::look_later() {
    const Duration pause =
        std::chrono::milliseconds{config_->broker().get(option::millrace_tls_reload_interval_ms)};
    node_.control_shard().executor->after(pause, [this, alive = std::weak_ptr<bool>(alive_)] {
        if (!alive.expired()) {
            reload([this, alive](const std::vector<Reloaded>&) {
                if (!alive.expired()) {
                    look_later();
                }
            });
        }
    });
}

void TlsNode::settings_changed(std::shared_ptr<const config::BrokerConfig> config) {
    config_ = std::move(config);
    if (!contexts_.empty()) {
        reload([](const std::vector<Reloaded>&) {});
    }
}

void TlsNode::judge(std::map<std::string, std::optional<std::string>> changes,
                    UniqueFunction<void(Result<void>)> done) {
    struct Job {
        std::vector<std::pair<std::shared_ptr<tls::Context>, tls::Settings>> work;
        Result<void> verdict;
        UniqueFunction<void(Result<void>)> done;
    };
    auto job = std::make_shared<Job>();
    job->done = std::move(done);
    runtime::Executor& control = *node_.control_shard().executor;
    control.post([this, job, &control, changes = std::move(changes)] {
        config::Entries own = config_->this_broker();
        for (const auto& [name, value] : changes) {
            if (value) {
                own[name] = *value;
            } else {
                own.erase(name);
            }
        }
        const config::BrokerConfig after{std::make_shared<config::Given>(config_->given()),
                                         config_->cluster_default(), std::move(own)};
        for (const auto& [listener, context] : contexts_) {
            job->work.emplace_back(context, tls_settings(after, listener));
        }
        node_.disk_pool().run(
            lane, control,
            [job, &disk = node_.disk()] {
                for (auto& [context, settings] : job->work) {
                    if (job->verdict) {
                        job->verdict = context->judge(std::move(settings), disk);
                    }
                }
            },
            [job] { job->done(std::move(job->verdict)); });
    });
}

void TlsNode::reload(UniqueFunction<void(std::vector<Reloaded>)> done) {
    struct Job {
        std::vector<std::pair<std::shared_ptr<tls::Context>, tls::Settings>> work;
        std::vector<Reloaded> outcome;
        UniqueFunction<void(std::vector<Reloaded>)> done;
    };
    auto job = std::make_shared<Job>();
    job->done = std::move(done);
    for (const auto& [listener, context] : contexts_) {
        job->work.emplace_back(context, tls_settings(*config_, listener));
        job->outcome.push_back({.listener = listener});
    }
    const config::BrokerValues& values = config_->broker();
    const std::string admin_certificate = values.get(option::millrace_admin_tls_certificate);
    const std::string admin_authorities = values.get(option::millrace_admin_tls_client_ca);
    node_.disk_pool().run(
        lane, *node_.control_shard().executor,
        [job, admin_certificate, admin_authorities, &disk = node_.disk()] {
            if (!admin_certificate.empty()) {
                job->outcome.push_back(admin_files(admin_certificate, admin_authorities, disk));
            }
            for (std::size_t i = 0; i < job->work.size(); ++i) {
                auto& [context, settings] = job->work[i];
                const auto changed = context->reload(std::move(settings), disk);
                job->outcome[i].changed = changed.value_or(false);
                job->outcome[i].error = changed ? "" : changed.error().message();
                job->outcome[i].facts = context->facts();
            }
        },
        [this, job, alive = std::weak_ptr<bool>(alive_)] {
            if (alive.expired()) {
                return;
            }
            for (const Reloaded& one : job->outcome) {
                std::string& refused = refused_[one.listener];
                if (one.changed) {
                    MR_LOG(log_, info, "tls.reloaded", field("listener", one.listener),
                           field("subject", one.facts.subject), field("serial", one.facts.serial),
                           field("not_after_ms", one.facts.not_after.milliseconds));
                } else if (!one.error.empty() && refused != one.error) {
                    MR_LOG(log_, warn, "tls.not_reloaded", field("listener", one.listener),
                           field("reason", one.error));
                }
                refused = one.error;
            }
            job->done(std::move(job->outcome));
        });
}

}  // namespace millrace::app
