#include "app/internal/edge.h"

#include <atomic>

#include "admin/server.h"
#include "app/internal/broker_doors.h"
#include "app/internal/edge_changes.h"
#include "app/internal/edge_metrics.h"
#include "config/listeners.h"
#include "metrics/exposition.h"

namespace millrace::app {
namespace {

namespace option = config::broker_option;

admin::ServerOptions admin_options(const config::BrokerValues& values,
                                   const config::Budget& budget) {
    admin::ServerOptions options;
    options.tls = {values.get(option::millrace_admin_tls_certificate),
                   values.get(option::millrace_admin_tls_key),
                   values.get(option::millrace_admin_tls_client_ca)};
    options.reflection = values.get(option::millrace_admin_reflection);
    options.max_message_bytes = values.get(option::millrace_admin_max_message_bytes);
    options.max_streams = values.get(option::millrace_admin_max_streams);
    options.memory_bytes = budget.admin_bytes;
    options.threads = budget.admin_threads;
    return options;
}

/// The address to listen on; none when the setting is empty.
Result<std::optional<config::HostPort>> address_of(std::string_view setting,
                                                   const std::string& text) {
    if (text.empty()) {
        return std::optional<config::HostPort>{};
    }
    const auto parsed = config::parse_host_port(text);
    if (!parsed) {
        return parsed.error().with_context(setting);
    }
    return std::optional{*parsed};
}

}  // namespace

struct Edge::Inside {
    Inside(const Options& options, BrokerView view_in, runtime::Node& node)
        : log(node.log()),
          view(std::move(view_in)),
          registry(options.registry),
          doors(std::make_shared<BrokerDoors>(view, node, options.version)) {}

    Result<void> start_metrics(const config::BrokerValues& values, bool given);
    Result<void> start_admin(const config::BrokerValues& values, const config::Budget& budget,
                             bool given);
    Result<void> or_without(Result<void> outcome, bool given, std::string_view setting) const;
    void follow_readiness(runtime::Node& node);
    void time_start(runtime::Node& node);
    bool is_ready() const { return !draining && view.is_ready(); }

    const Logger& log;
    BrokerView view;
    std::shared_ptr<metrics::Registry> registry;
    std::shared_ptr<BrokerDoors> doors;
    std::atomic<bool> draining{false};
    std::unique_ptr<metrics::Exposition> exposition;
    std::unique_ptr<admin::Server> server;
};

Result<void> Edge::Inside::or_without(Result<void> outcome, bool given,
                                      std::string_view setting) const {
    if (outcome || outcome.error().code() != Code::io) {
        return outcome;
    }
    if (given) {
        return Error(Code::invalid, outcome.error().message());
    }
    MR_LOG(log, warn, "edge.address_taken", field("setting", setting),
           field("reason", outcome.error().message()),
           field("remedy", "set another address, or none"));
    return {};
}

Result<void> Edge::Inside::start_metrics(const config::BrokerValues& values, bool given) {
    constexpr std::string_view setting = "millrace.metrics.listener";
    MR_TRY(const auto address, address_of(setting, values.get(option::millrace_metrics_listener)));
    if (!address) {
        return {};
    }
    auto started = metrics::Exposition::start(
        {address->host, address->port}, registry, [this]() -> metrics::Readiness {
            return {is_ready(), draining ? "stopping" : "starting, or fenced by the controller"};
        });
    if (!started) {
        return or_without(started.error().with_context(setting), given, setting);
    }
    exposition = *std::move(started);
    return {};
}

Result<void> Edge::Inside::start_admin(const config::BrokerValues& values,
                                       const config::Budget& budget, bool given) {
    constexpr std::string_view setting = "millrace.admin.listener";
    MR_TRY(const auto address, address_of(setting, values.get(option::millrace_admin_listener)));
    if (!address) {
        return {};
    }
    admin::ServerOptions options = admin_options(values, budget);
    options.host = address->host;
    options.port = address->port;
    auto started = admin::Server::start(std::move(options), doors, log, registry);
    if (!started) {
        return or_without(started.error(), given, setting);
    }
    server = *std::move(started);
    return {};
}

/// gRPC's health service says what readiness says, from the moment the metadata says so.
void Edge::Inside::follow_readiness(runtime::Node&) {
    view.publisher->subscribe([this](const metadata::Delta&, const metadata::ImagePtr&) {
        if (server) {
            server->set_serving(is_ready());
        }
    });
}

/// Looks until the broker serves clients, then says how long that took.
void Edge::Inside::time_start(runtime::Node& node) {
    struct Look {
        std::shared_ptr<metrics::Registry> registry;
        runtime::Executor& control;
        std::function<bool()> is_ready;
        Instant begun;
        void look(const std::shared_ptr<Look>& self) {
            if (!is_ready()) {
                control.after(10ms, [self] { self->look(self); });
                return;
            }
            const Duration took = control.read_clock() - begun;
            registry->publish(metrics::metric::start_seconds, "edge", {{{}, to_seconds(took)}});
        }
    };
    runtime::Executor& control = *node.control_shard().executor;
    auto look =
        std::make_shared<Look>(Look{registry, control, view.is_ready, control.read_clock()});
    control.post([look] { look->look(look); });
}

Result<std::unique_ptr<Edge>> Edge::start(Options options, BrokerView view, runtime::Node& node) {
    auto inside = std::make_unique<Inside>(options, std::move(view), node);
    const config::BrokerValues& values = options.config->broker();
    const auto is_given = [&](const char* name) {
        return options.config->given().entries.count(name) != 0;
    };
    publish_budget(*options.registry, options.budget);
    publish_on_demand(*options.registry, inside->view, inside->doors, options.version);
    inside->time_start(node);
    MR_TRY_VOID(inside->start_metrics(values, is_given("millrace.metrics.listener")));
    MR_TRY_VOID(inside->start_admin(values, options.budget, is_given("millrace.admin.listener")));
    inside->follow_readiness(node);
    count_on_change(options.registry, inside->view);
    MR_LOG(node.log(), info, "edge.listening",
           field("metrics_port", inside->exposition ? inside->exposition->port() : 0),
           field("admin_port", inside->server ? inside->server->port() : 0));
    return std::unique_ptr<Edge>(new Edge(std::move(inside)));
}

Edge::Edge(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}

Edge::~Edge() {
    inside_->exposition.reset();
    inside_->server.reset();
}

void Edge::set_draining() {
    inside_->draining = true;
    if (inside_->server) {
        inside_->server->set_serving(false);
    }
}

std::uint16_t Edge::metrics_port() const {
    return inside_->exposition ? inside_->exposition->port() : std::uint16_t{0};
}
std::uint16_t Edge::admin_port() const {
    return inside_->server ? inside_->server->port() : std::uint16_t{0};
}

}  // namespace millrace::app
