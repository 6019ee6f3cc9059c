#include "app/internal/controller_link.h"

#include <algorithm>
#include <atomic>
#include <utility>

namespace millrace::app {
namespace {

/// How soon another controller is noticed, and how long the same one is left alone at first and at
/// most: who is no controller any more ends the connection, and that costs both sides.
constexpr Duration look_every = 20ms;
constexpr Duration pause_most = 500ms;
constexpr Duration call_timeout = 10s;

}  // namespace

struct ControllerLink::Attempt {
    std::int16_t api_key;
    std::int16_t version;
    Buffer body;
    Instant deadline;
    UniqueFunction<void(Result<Answer>)> done;
    raft::Leadership asked{};  ///< Who led when it was last tried.
    Duration pause = look_every;
    Instant next{};
};

struct ControllerLink::Inside : std::enable_shared_from_this<ControllerLink::Inside> {
    Inside(runtime::Executor& control_in, MetadataNode& metadata_in, raft::RaftDriver& driver_in,
           raft::Channel& channels_in, Duration patience_in)
        : control(control_in),
          metadata(metadata_in),
          driver(driver_in),
          channels(channels_in),
          patience_of_clients(patience_in) {}

    void run(std::shared_ptr<Attempt> attempt) {
        if (stopped) {
            attempt->done(Error(Code::cancelled, "the node is stopping"));
            return;
        }
        const raft::Leadership& leadership = metadata.leadership();
        known.store(leadership.leader.value, std::memory_order_relaxed);
        if (std::exchange(attempt->asked, leadership) != leadership) {
            attempt->pause = look_every;
        }
        if (leadership.is_self && metadata.apis() != nullptr) {
            metadata.handle(
                attempt->api_key, attempt->version, ByteView(attempt->body),
                [weak = weak_from_this(), attempt](Result<Buffer> body) {
                    if (auto self = weak.lock()) {
                        self->finish(attempt, body ? Result<Answer>(
                                                         Answer{attempt->version, *std::move(body)})
                                                   : Result<Answer>(body.error()));
                    }
                });
            return;
        }
        const auto endpoint = driver.leader_endpoint();
        if (!endpoint || leadership.leader == no_broker) {
            const std::string why = driver.why_no_leader();
            finish(attempt,
                   Error(Code::not_leader, why.empty() ? "no controller is elected"
                                                       : "no controller is elected: " + why));
            return;
        }
        raft::ChannelRequest request;
        request.api_key = attempt->api_key;
        request.min_version = request.max_version = attempt->version;
        request.encode = [attempt](std::int16_t) -> Result<Buffer> { return attempt->body; };
        request.timeout = call_timeout;
        channels.send(leadership.leader, *endpoint, std::move(request),
                      [weak = weak_from_this(), attempt](Result<raft::ChannelResponse> answer) {
                          auto self = weak.lock();
                          if (!self) {
                              return;
                          }
                          self->finish(attempt, answer
                                                    ? Result<Answer>(Answer{
                                                          answer->version, std::move(answer->body)})
                                                    : Result<Answer>(answer.error()));
                      });
    }

    void finish(const std::shared_ptr<Attempt>& attempt, Result<Answer> answer) {
        if (answer) {
            attempt->done(std::move(answer));
            return;
        }
        const Code code = answer.error().code();
        const bool untouched =
            code == Code::not_leader || code == Code::unavailable || code == Code::closed;
        if (!untouched || control.clock().now() >= attempt->deadline) {
            attempt->done(std::move(answer));
            return;
        }
        attempt->next = control.clock().now() + attempt->pause;
        attempt->pause = std::min(2 * attempt->pause, pause_most);
        again(attempt);
    }

    /// Once there is somebody else to ask, or the same may have come to itself.
    void again(const std::shared_ptr<Attempt>& attempt) {
        control.after(look_every, [weak = weak_from_this(), attempt] {
            auto self = weak.lock();
            if (!self) {
                return;
            }
            if (self->stopped || self->metadata.leadership() != attempt->asked ||
                self->control.clock().now() >= std::min(attempt->next, attempt->deadline)) {
                self->run(attempt);
            } else {
                self->again(attempt);
            }
        });
    }

    runtime::Executor& control;
    MetadataNode& metadata;
    raft::RaftDriver& driver;
    raft::Channel& channels;
    Duration patience_of_clients;
    std::atomic<std::int32_t> known{-1};
    bool stopped = false;
};

ControllerLink::ControllerLink(runtime::Executor& control, MetadataNode& metadata,
                               raft::RaftDriver& driver, raft::Channel& channels,
                               Duration patience_of_clients)
    : inside_(std::make_shared<Inside>(control, metadata, driver, channels, patience_of_clients)) {}

ControllerLink::~ControllerLink() {
    inside_->stopped = true;
}

void ControllerLink::forward(std::int16_t api_key, std::int16_t version, Buffer body,
                             const Principal&, runtime::Executor& home,
                             UniqueFunction<void(Result<Answer>)> done) {
    inside_->control.post([inside = inside_, api_key, version, body = std::move(body), &home,
                           done = std::move(done)]() mutable {
        auto attempt = std::make_shared<Attempt>();
        attempt->api_key = api_key;
        attempt->version = version;
        attempt->body = std::move(body);
        attempt->deadline = inside->control.clock().now() + inside->patience_of_clients;
        attempt->done = [&home, done = std::move(done)](Result<Answer> answer) mutable {
            home.post([done = std::move(done), answer = std::move(answer)]() mutable {
                done(std::move(answer));
            });
        };
        inside->run(std::move(attempt));
    });
}

void ControllerLink::call(std::int16_t api_key, std::int16_t version, Buffer body,
                          Duration patience, UniqueFunction<void(Result<Answer>)> done) {
    auto attempt = std::make_shared<Attempt>();
    attempt->api_key = api_key;
    attempt->version = version;
    attempt->body = std::move(body);
    attempt->deadline = inside_->control.clock().now() + patience;
    attempt->done = std::move(done);
    inside_->control.post([inside = inside_, attempt]() mutable { inside->run(attempt); });
}

BrokerId ControllerLink::active() const {
    return BrokerId{inside_->known.load(std::memory_order_relaxed)};
}

}  // namespace millrace::app
