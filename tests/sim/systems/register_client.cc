#include "tests/sim/systems/register_client.h"

#include <set>
#include <utility>

namespace millrace::simtest {

namespace {

constexpr Duration connect_limit = 2s;
constexpr Duration reconnect_after = 50ms;
constexpr Duration ask_again_after = 400ms;

}  // namespace

struct RegisterClient::Operation {
    std::string key;
    std::optional<std::string> to_write;
    Done done;
    std::uint64_t request = 0;  ///< Of the phase that runs.
    bool storing = false;
    Versioned newest;
    std::set<std::uint64_t> answered;
    runtime::TimerId deadline;
};

RegisterClient::RegisterClient(runtime::Node& node, std::vector<runtime::Address> replicas, Bug bug)
    : shard_(node.control_shard()),
      replicas_(std::move(replicas)),
      bug_(bug),
      streams_(replicas_.size()) {
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
        connect(i);
    }
}

RegisterClient::~RegisterClient() {
    *alive_ = false;
}

void RegisterClient::read(std::string key, Duration limit, Done done) {
    begin(std::move(key), std::nullopt, limit, std::move(done));
}

void RegisterClient::write(std::string key, std::string value, Duration limit, Done done) {
    begin(std::move(key), std::move(value), limit, std::move(done));
}

void RegisterClient::begin(std::string key, std::optional<std::string> to_write, Duration limit,
                           Done done) {
    MR_ASSERT(!operation_);
    operation_ = std::make_unique<Operation>();
    operation_->key = std::move(key);
    operation_->to_write = std::move(to_write);
    operation_->done = std::move(done);
    operation_->deadline = shard_.executor->after(limit, [this] {
        operation_->deadline = {};
        finish(std::nullopt);
    });
    begin_phase();
}

std::size_t RegisterClient::quorum() const {
    const std::size_t majority = replicas_.size() / 2 + 1;
    return bug_ == Bug::small_quorum ? majority - 1 : majority;
}

void RegisterClient::begin_phase() {
    operation_->request = next_request_++;
    operation_->answered.clear();
    ask_everybody();
}

// And again after a while: a connection may have died without a word.
void RegisterClient::ask_everybody() {
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
        send(i);
    }
    shard_.executor->after(ask_again_after, [this, request = operation_->request, alive = alive_] {
        if (*alive && operation_ && operation_->request == request) {
            ask_everybody();
        }
    });
}

void RegisterClient::send(std::size_t replica) {
    if (operation_ && streams_[replica]) {
        streams_[replica]->send(to_text(Request{operation_->request, operation_->storing,
                                                operation_->key, operation_->newest}));
    }
}

void RegisterClient::on_message(std::size_t replica, const std::string& text) {
    const auto reply = from_text<Reply>(text);
    if (!reply || !operation_) {
        return;
    }
    const bool is_ours = reply->id == operation_->request || bug_ == Bug::ignores_request_id;
    if (!is_ours || reply->is_store != operation_->storing || reply->key != operation_->key) {
        return;
    }
    if (!operation_->storing && operation_->newest.stamp < reply->versioned.stamp) {
        operation_->newest = reply->versioned;
    }
    operation_->answered.insert(bug_ == Bug::counts_answers_twice ? answers_++ : replica);
    if (operation_->answered.size() >= quorum()) {
        enough_answers();
    }
}

void RegisterClient::enough_answers() {
    Operation& operation = *operation_;
    if (operation.storing) {
        finish(operation.newest.value);
        return;
    }
    if (operation.to_write) {
        operation.newest = {newer_than(operation.newest.stamp), *operation.to_write};
    } else if (bug_ == Bug::no_write_back) {
        finish(operation.newest.value);
        return;
    }
    operation.storing = true;
    begin_phase();
}

Stamp RegisterClient::newer_than(const Stamp& stamp) {
    if (bug_ == Bug::wall_clock_order) {
        const auto now = shard_.executor->clock().wall().milliseconds;
        return {static_cast<std::uint64_t>(now), shard_.random->next()};
    }
    return {stamp.counter + 1, shard_.random->next()};
}

void RegisterClient::finish(std::optional<std::string> outcome) {
    shard_.executor->cancel(operation_->deadline);
    Done done = std::move(operation_->done);
    operation_.reset();
    done(std::move(outcome));
}

void RegisterClient::connect(std::size_t replica) {
    shard_.net->connect(replicas_[replica], connect_limit,
                        [this, replica, alive = alive_](Result<runtime::StreamPtr> stream) {
                            if (!*alive) {
                                return;
                            }
                            if (!stream) {
                                connect_later(replica);
                                return;
                            }
                            streams_[replica] = std::make_unique<support::MessageStream>(
                                *std::move(stream),
                                [this, replica](std::string text) { on_message(replica, text); },
                                [this, replica](std::string) { connect_later(replica); });
                            send(replica);
                        });
}

void RegisterClient::connect_later(std::size_t replica) {
    shard_.executor->after(reconnect_after, [this, replica, alive = alive_] {
        if (*alive) {
            streams_[replica].reset();
            connect(replica);
        }
    });
}

}  // namespace millrace::simtest
