#include "app/internal/broker_watch.h"

#include <utility>

#include "app/internal/suspicion.h"
#include "net/channel.h"
#include "protocol/headers.h"
#include "protocol/messages/api_versions_request.h"
#include "protocol/writer.h"

namespace millrace::app {
namespace {

constexpr Duration connect_patience = 500ms;
constexpr Duration answer_patience = 500ms;
constexpr Duration soon = 50ms;
/// Two heartbeats, and a little for the second one to be on its way.
constexpr int missed_beats_num = 9;
constexpr int missed_beats_den = 4;

Buffer versions_request() {
    constexpr std::int16_t version = 0;  // every broker of any age answers it
    Buffer frame;
    protocol::Writer writer(frame);
    protocol::encode_request_header(writer,
                                    {.request_api_key = protocol::ApiVersionsRequest::api_key,
                                     .request_api_version = version,
                                     .client_id = "controller"});
    protocol::ApiVersionsRequest{}.encode(writer, version);
    MR_ASSERT(writer.ok());
    return frame;
}

}  // namespace

struct BrokerWatch::Inside : std::enable_shared_from_this<BrokerWatch::Inside> {
    struct Watched {
        BrokerEpoch epoch;
        runtime::Address address;
        std::unique_ptr<net::Channel> channel;
        Suspicion suspicion;
    };

    Inside(Options options_in, runtime::Shard control_in, metadata::Controller& controller_in,
           const Logger& log_in)
        : options(std::move(options_in)),
          control(control_in),
          controller(controller_in),
          log(log_in) {}

    void look(const metadata::ImagePtr& image) {
        if (!controller.is_active()) {
            watched.clear();
            return;
        }
        for (const auto& [id, entry] : watched) {
            const metadata::Broker* broker = image->cluster.broker(id);
            if (broker == nullptr || broker->fenced || broker->epoch != entry.epoch) {
                gone.push_back(id);
            }
        }
        for (const BrokerId id : std::exchange(gone, {})) {
            watched.erase(id);
        }
        for (const auto& entry : image->cluster.brokers) {
            const metadata::Broker& broker = *entry.value;
            const metadata::Endpoint* endpoint = broker.endpoint(options.listener);
            if (broker.id != options.self && !broker.fenced && endpoint != nullptr &&
                !watched.contains(broker.id)) {
                watch(broker, {endpoint->host, endpoint->port});
            }
        }
        arm();
    }

    void watch(const metadata::Broker& broker, runtime::Address address) {
        Watched& entry = watched[broker.id];
        entry.epoch = broker.epoch;
        entry.address = std::move(address);
        net::ChannelOptions channel;
        channel.address = entry.address;
        channel.wrap = options.wrap;
        entry.channel = std::make_unique<net::Channel>(std::move(channel), control, log);
        entry.channel->on_lost(
            [weak = weak_from_this(), id = broker.id, epoch = broker.epoch](const Error&) {
                if (auto self = weak.lock()) {
                    self->hint(id, epoch);
                }
            });
        // Also who is gone already when we come to lead shows itself by this.
        hint(broker.id, broker.epoch);
    }

    Watched* find(BrokerId id, BrokerEpoch epoch) {
        const auto at = watched.find(id);
        return at == watched.end() || at->second.epoch != epoch ? nullptr : &at->second;
    }

    void hint(BrokerId id, BrokerEpoch epoch) {
        if (Watched* entry = find(id, epoch)) {
            act(id, *entry, entry->suspicion.hint(control.executor->clock().now()));
        }
    }

    void act(BrokerId id, Watched& entry, Suspicion::Step step) {
        switch (step) {
            case Suspicion::Step::wait:
                return;
            case Suspicion::Step::probe:
                dial(id, entry);
                return;
            case Suspicion::Step::probe_soon:
                control.executor->after(soon, [weak = weak_from_this(), id, epoch = entry.epoch] {
                    auto self = weak.lock();
                    if (Watched* again = self ? self->find(id, epoch) : nullptr) {
                        self->dial(id, *again);
                    }
                });
                return;
            case Suspicion::Step::fence:
                MR_LOG(log, warn, "controller.broker_unreachable", field("broker", id),
                       field("address", entry.address.to_string()));
                controller.fence_unreachable(id, entry.epoch, entry.suspicion.since());
                return;
        }
    }

    void ended(BrokerId id, BrokerEpoch epoch, Suspicion::Probe probe) {
        if (Watched* entry = find(id, epoch)) {
            act(id, *entry, entry->suspicion.ended(probe));
        }
    }

    /// First whether anybody listens there; a channel's failure would not say it so clearly.
    void dial(BrokerId id, Watched& entry) {
        control.net->connect(
            entry.address, connect_patience,
            [weak = weak_from_this(), id, epoch = entry.epoch](Result<runtime::StreamPtr> stream) {
                auto self = weak.lock();
                Watched* found = self ? self->find(id, epoch) : nullptr;
                if (found == nullptr) {
                    return;
                }
                if (stream) {
                    self->ask(id, *found);
                    return;
                }
                self->ended(id, epoch,
                            stream.error().code() == Code::unavailable ? Suspicion::Probe::refused
                                                                       : Suspicion::Probe::silent);
            });
    }

    void ask(BrokerId id, Watched& entry) {
        entry.channel->call(
            versions_request(), answer_patience,
            [weak = weak_from_this(), id, epoch = entry.epoch](Result<net::ResponseFrame> answer) {
                auto self = weak.lock();
                Watched* found = self ? self->find(id, epoch) : nullptr;
                if (found == nullptr) {
                    return;
                }
                if (answer) {
                    self->ended(id, epoch, Suspicion::Probe::answered);
                } else if (answer.error().code() == Code::timed_out) {
                    found->channel->reset();
                    self->ended(id, epoch, Suspicion::Probe::silent);
                } else {
                    self->ended(id, epoch, Suspicion::Probe::undecided);
                }
            });
    }

    /// Heartbeats that do not come are a hint, too.
    void arm() {
        if (armed || watched.empty()) {
            return;
        }
        armed = true;
        control.executor->after(options.heartbeat_interval / 2, [weak = weak_from_this()] {
            auto self = weak.lock();
            if (!self) {
                return;
            }
            self->armed = false;
            self->check_heartbeats();
            self->arm();
        });
    }

    void check_heartbeats() {
        if (!controller.is_active()) {
            watched.clear();
            return;
        }
        const Instant now = control.executor->clock().now();
        for (auto& [id, entry] : watched) {
            const auto* session = controller.sessions().find(id);
            if (session != nullptr && now - session->last_contact > options.heartbeat_interval *
                                                                        missed_beats_num /
                                                                        missed_beats_den) {
                hint(id, entry.epoch);
            }
        }
    }

    Options options;
    runtime::Shard control;
    metadata::Controller& controller;
    const Logger& log;
    std::map<BrokerId, Watched> watched;
    std::vector<BrokerId> gone;
    bool armed = false;
};

BrokerWatch::BrokerWatch(Options options, runtime::Shard control, metadata::Controller& controller,
                         const Logger& log)
    : inside_(std::make_shared<Inside>(std::move(options), control, controller, log)) {}

BrokerWatch::~BrokerWatch() = default;

void BrokerWatch::look(const metadata::ImagePtr& image) {
    inside_->look(image);
}

}  // namespace millrace::app
