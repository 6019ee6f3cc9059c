#include "operator/brokers/internal/connection.h"

#include <algorithm>
#include <chrono>

namespace millrace::brokers {

namespace {

constexpr int repeat_health_ms = 10'000;
constexpr Duration longest_silence = 25s;
constexpr Duration keep_old_facts = 5s;
constexpr Duration first_pause = 100ms;
constexpr Duration longest_pause = 3s;

Instant steady_now() {
    return {
        std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())
            .count()};
}

template <typename Item>
Outcome outcome_of(const Item& item) {
    return {item.name(), "", item.error().kafka_error(), item.error().message()};
}

}  // namespace

void set_deadline(grpc::ClientContext& context, Duration deadline) {
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::duration_cast<std::chrono::microseconds>(deadline));
}

std::shared_ptr<grpc::Channel> make_channel(const Endpoint& endpoint, const Identity& identity) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(16 << 20);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    // Channels to single nodes are kept while these restart: by gRPC's own defaults one that was
    // away for some minutes is not tried for two more, and an attempt may take 20 s.
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);
    if (identity.ca_pem.empty()) {
        return grpc::CreateCustomChannel(endpoint.address, grpc::InsecureChannelCredentials(),
                                         arguments);
    }
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = identity.ca_pem;
    tls.pem_cert_chain = identity.certificate_pem;
    tls.pem_private_key = identity.key_pem.reveal();
    arguments.SetSslTargetNameOverride(endpoint.server_name);
    return grpc::CreateCustomChannel(endpoint.address, grpc::SslCredentials(tls), arguments);
}

/// Asked first on every new channel: an address may lead to another cluster's broker by now.
struct Connection::Introduction {
    grpc::ClientContext context;
    v1::IdentityRequest request;
    v1::IdentityResponse response;
    std::shared_ptr<Stub> stub;
};

class Connection::HealthStream final : public grpc::ClientReadReactor<v1::HealthResponse> {
public:
    HealthStream(std::shared_ptr<Connection> owner, std::uint64_t attempt)
        : owner_(std::move(owner)), attempt_(attempt) {
        request_.set_repeat_ms(repeat_health_ms);
    }

    void begin(Stub& stub, std::shared_ptr<HealthStream> self) {
        self_ = std::move(self);  // Until OnDone, which gRPC always calls.
        stub.async()->Health(&context_, &request_, this);
        StartRead(&response_);
        StartCall();
    }
    void cancel() { context_.TryCancel(); }

    void OnReadDone(bool ok) override {
        if (ok) {
            owner_->heard(attempt_, response_);
            StartRead(&response_);
        }
    }
    void OnDone(const grpc::Status& status) override {
        owner_->ended(attempt_, status.error_message());
        const std::shared_ptr<HealthStream> last = std::move(self_);
    }

private:
    std::shared_ptr<Connection> owner_;
    const std::uint64_t attempt_;
    grpc::ClientContext context_;
    v1::HealthRequest request_;
    v1::HealthResponse response_;
    std::shared_ptr<HealthStream> self_;
};

Connection::Connection(std::string cluster, const DirectoryOptions& options)
    : cluster_(std::move(cluster)), options_(options) {}

void Connection::follow(std::vector<Endpoint> endpoints, Identity identity) {
    std::shared_ptr<HealthStream> old;
    std::vector<Endpoint> controllers;
    std::copy_if(endpoints.begin(), endpoints.end(), std::back_inserter(controllers),
                 [](const Endpoint& one) { return !one.is_broker; });
    std::erase_if(endpoints, [](const Endpoint& one) { return !one.is_broker; });
    {
        const std::lock_guard lock(mutex_);
        controllers_ = std::move(controllers);
        if (endpoints == endpoints_ && identity == identity_) {
            return;
        }
        const bool same_identity = identity == identity_;
        const bool connected = opening_ || stub_ != nullptr;
        const auto used =
            connected && !endpoints_.empty()
                ? endpoints_[(next_endpoint_ + endpoints_.size() - 1) % endpoints_.size()]
                : Endpoint{};
        endpoints_ = std::move(endpoints);
        identity_ = std::move(identity);
        const auto still = std::find(endpoints_.begin(), endpoints_.end(), used);
        if (connected && same_identity && still != endpoints_.end()) {
            next_endpoint_ =
                static_cast<std::size_t>(still - endpoints_.begin()) + 1;  // Stay with it.
            return;
        }
        next_endpoint_ = 0;
        open_at_ = Instant{0};
        pause_ = Duration{0};
        old = stream_;
        if (connected && !stream_) {
            ++attempt_;  // An introduction is under way: its answer no longer counts.
            opening_ = false;
        }
    }
    if (old) {
        old->cancel();
    }
}

void Connection::close() {
    std::shared_ptr<HealthStream> old;
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        ++attempt_;
        old = std::move(stream_);
        stub_.reset();
        facts_.reset();
    }
    if (old) {
        old->cancel();
    }
}

Instant Connection::keep(Instant now) {
    std::shared_ptr<HealthStream> silent;
    bool lost = false;
    bool due = false;
    Instant next = now + longest_silence;
    {
        const std::lock_guard lock(mutex_);
        if (closed_) {
            return Instant::never();
        }
        if (stream_ && now - heard_at_ > longest_silence) {
            silent = stream_;
        }
        if (!stream_ && facts_ && now - heard_at_ > keep_old_facts) {
            facts_.reset();
            lost = true;
        }
        if (!stream_ && !opening_ && !endpoints_.empty()) {
            due = now >= open_at_;
            next = due ? now + first_pause : open_at_;
        }
        if (!stream_ && facts_) {
            next = std::min(next, heard_at_ + keep_old_facts + 1ms);
        }
    }
    if (silent) {
        silent->cancel();
    }
    if (lost) {
        options_.on_news(cluster_);
    }
    if (due) {
        open(now);
    }
    return next;
}

void Connection::open(Instant now) {
    auto introduction = std::make_shared<Introduction>();
    std::uint64_t attempt = 0;
    {
        const std::lock_guard lock(mutex_);
        next_endpoint_ %= endpoints_.size();
        channel_ = make_channel(endpoints_[next_endpoint_], identity_);
        next_endpoint_ = next_endpoint_ + 1;
        introduction->stub = std::make_shared<Stub>(channel_);
        opening_ = true;
        attempt = ++attempt_;
        pause_ = pause_ == Duration{0} ? first_pause : std::min(pause_ * 2, longest_pause);
        open_at_ = now + pause_;
    }
    set_deadline(introduction->context, options_.deadline);
    Introduction& one = *introduction;
    one.stub->async()->Identity(
        &one.context, &one.request, &one.response,
        [self = shared_from_this(), attempt, introduction](const grpc::Status& status) {
            if (status.ok()) {
                const std::lock_guard lock(self->mutex_);
                if (self->attempt_ == attempt) {
                    self->stub_ = introduction->stub;
                }
            }
            self->introduced(attempt, status, introduction->response.cluster_id());
        });
}

void Connection::introduced(std::uint64_t attempt, const grpc::Status& status,
                            const std::string& cluster_id) {
    std::shared_ptr<HealthStream> stream;
    std::shared_ptr<Stub> stub;
    {
        const std::lock_guard lock(mutex_);
        if (attempt != attempt_ || closed_) {
            return;
        }
        opening_ = false;
        if (!status.ok()) {
            return;
        }
        cluster_id_ = cluster_id;
        heard_at_ = steady_now();
        stream_ = stream = std::make_shared<HealthStream>(shared_from_this(), attempt);
        stub = stub_;
    }
    stream->begin(*stub, stream);
}

void Connection::heard(std::uint64_t attempt, const v1::HealthResponse& health) {
    {
        const std::lock_guard lock(mutex_);
        if (attempt != attempt_) {
            return;
        }
        heard_at_ = steady_now();
        pause_ = Duration{0};
        open_at_ = Instant{0};
        ClusterFacts facts = from_proto(health, cluster_id_);
        if (facts_) {
            // The log goes on all the time; it is no news.
            ClusterFacts old = *facts_;
            old.metadata_offset = facts.metadata_offset;
            if (old == facts) {
                return;
            }
        }
        const bool well =
            std::all_of(facts.brokers.begin(), facts.brokers.end(), [](const auto& one) {
                return one.second.state == BrokerState::running && one.second.lagging_replicas == 0;
            });
        MR_LOG(options_.log, debug, "brokers.news", field("cluster", cluster_), field("well", well),
               field("controller", facts.controller));
        facts_ = std::make_shared<const ClusterFacts>(std::move(facts));
    }
    options_.on_news(cluster_);
}

void Connection::ended(std::uint64_t attempt, const std::string& reason) {
    {
        const std::lock_guard lock(mutex_);
        if (attempt != attempt_) {
            return;
        }
        ++attempt_;
        stream_.reset();
        stub_.reset();
    }
    MR_LOG(options_.log, info, "brokers.stream_ended", field("cluster", cluster_),
           field("reason", reason));
}

std::shared_ptr<const ClusterFacts> Connection::facts() const {
    const std::lock_guard lock(mutex_);
    return facts_;
}

std::shared_ptr<Connection::Stub> Connection::stub() const {
    const std::lock_guard lock(mutex_);
    return stub_;
}

std::string Connection::cluster_id() const {
    const std::lock_guard lock(mutex_);
    return cluster_id_;
}

Result<ClusterFacts> Connection::ask_facts() {
    const std::shared_ptr<Stub> to = stub();
    if (!to) {
        return Error::make(Code::unavailable, "Health: no broker of {} answers", cluster_);
    }
    grpc::ClientContext context;
    set_deadline(context, options_.deadline);
    const auto reader = to->Health(&context, v1::HealthRequest{});
    v1::HealthResponse health;
    if (!reader->Read(&health)) {
        return error_of(reader->Finish(), "Health");
    }
    context.TryCancel();
    return from_proto(health, cluster_id());
}

Result<RestartVerdict> Connection::restart_check(const std::vector<int>& ids) {
    v1::RestartCheckRequest request;
    request.mutable_broker_ids()->Add(ids.begin(), ids.end());
    request.set_with_those_down(true);
    MR_TRY(const auto response, call(&Stub::RestartCheck, request, "RestartCheck"));
    return from_proto(response);
}

Result<RestartProgress> Connection::restart_progress(int id) {
    v1::RestartProgressRequest request;
    request.set_broker_id(id);
    MR_TRY(const auto response, call(&Stub::RestartProgress, request, "RestartProgress"));
    return from_proto(response);
}

Result<int> Connection::drain_leaders(int id, bool undo) {
    v1::DrainLeadersRequest request;
    request.set_broker_id(id);
    request.set_undo(undo);
    MR_TRY(const auto response, call(&Stub::DrainLeaders, request, "DrainLeaders"));
    return response.leaders_left();
}

Result<void> Connection::cordon(const std::vector<int>& ids, bool cordoned) {
    if (cordoned) {
        v1::CordonRequest request;
        request.mutable_broker_ids()->Add(ids.begin(), ids.end());
        MR_TRY(const auto response, call(&Stub::Cordon, request, "Cordon"));
        (void)response;
        return {};
    }
    v1::UncordonRequest request;
    request.mutable_broker_ids()->Add(ids.begin(), ids.end());
    MR_TRY(const auto response, call(&Stub::Uncordon, request, "Uncordon"));
    (void)response;
    return {};
}

Result<void> Connection::unregister(int id) {
    v1::UnregisterBrokerRequest request;
    request.set_broker_id(id);
    MR_TRY(const auto response, call(&Stub::UnregisterBroker, request, "UnregisterBroker"));
    (void)response;
    return {};
}

Result<Volumes> Connection::volumes(int id) {
    v1::DescribeLogDirsRequest request;
    request.add_broker_ids(id);
    request.set_with_replicas(true);
    MR_TRY(const auto response, call(&Stub::DescribeLogDirs, request, "DescribeLogDirs"));
    return from_proto(response, id);
}

Result<QuorumFacts> Connection::quorum() {
    MR_TRY(const auto response,
           call(&Stub::DescribeQuorum, v1::DescribeQuorumRequest{}, "DescribeQuorum"));
    return from_proto(response.quorum());
}

Result<void> Connection::add_voter(const QuorumNode& node, const std::string& address) {
    MR_TRY(const auto request, to_proto(node, address));
    // Not as slow a call as a broker allows it to be: while it catches up, edits go first.
    MR_TRY(const auto response, call(&Stub::AddVoter, request, "AddVoter"));
    (void)response;
    return {};
}

Result<void> Connection::remove_voter(const QuorumNode& node) {
    v1::RemoveVoterRequest request;
    request.set_id(node.id);
    request.set_directory_id(node.directory);
    MR_TRY(const auto response, call(&Stub::RemoveVoter, request, "RemoveVoter", true));
    (void)response;
    return {};
}

Result<PlanFacts> Connection::plan(const PlanWish& wish) {
    MR_TRY(const auto response, call(&Stub::PlanRebalance, to_proto(wish), "PlanRebalance", true));
    return from_proto(response.plan());
}

Result<PlanProgress> Connection::apply_plan(const std::string& hash, std::int64_t throttle) {
    v1::ApplyPlanRequest request;
    request.set_hash(hash);
    request.mutable_limits()->set_throttle_bytes_per_second(throttle);
    MR_TRY(const auto response, call(&Stub::ApplyPlan, request, "ApplyPlan", true));
    return from_proto(response.progress());
}

Result<PlanProgress> Connection::plan_progress(const std::string& hash) {
    v1::GetPlanRequest request;
    request.set_hash(hash);
    MR_TRY(const auto response, call(&Stub::GetPlan, request, "GetPlan"));
    return from_proto(response.progress());
}

Result<void> Connection::cancel_plan(const std::string& hash) {
    v1::CancelPlanRequest request;
    request.set_hash(hash);
    MR_TRY(const auto response, call(&Stub::CancelPlan, request, "CancelPlan"));
    (void)response;
    return {};
}

Result<std::vector<TopicFacts>> Connection::topics(const std::vector<std::string>& names) {
    v1::DescribeTopicsRequest request;
    for (const std::string& name : names) {
        request.add_topics()->set_name(name);
    }
    MR_TRY(const auto response, call(&Stub::DescribeTopics, request, "DescribeTopics", true));
    constexpr int unknown_topic = 3;
    std::vector<TopicFacts> facts;
    for (const v1::TopicDescription& topic : response.topics()) {
        if (topic.error().kafka_error() == 0) {
            facts.push_back(from_proto(topic));
        } else if (topic.error().kafka_error() != unknown_topic) {
            return Error::make(Code::unavailable, "DescribeTopics: {}: {}", topic.name(),
                               topic.error().message());
        }
    }
    return facts;
}

Result<std::vector<Outcome>> Connection::create_topics(const std::vector<NewTopic>& topics) {
    v1::CreateTopicsRequest request;
    for (const NewTopic& topic : topics) {
        v1::NewTopic& one = *request.add_topics();
        one.set_name(topic.name);
        one.set_partitions(topic.partitions);
        one.set_replication_factor(topic.replication_factor);
        one.mutable_configs()->insert(topic.configs.begin(), topic.configs.end());
    }
    MR_TRY(const auto response, call(&Stub::CreateTopics, request, "CreateTopics", true));
    std::vector<Outcome> outcomes;
    for (const v1::CreatedTopic& topic : response.topics()) {
        outcomes.push_back(outcome_of(topic));
        outcomes.back().id = topic.id();
    }
    return outcomes;
}

Result<std::vector<Outcome>> Connection::grow_topics(const std::map<std::string, int>& totals) {
    v1::CreatePartitionsRequest request;
    for (const auto& [name, total] : totals) {
        v1::NewPartitions& one = *request.add_topics();
        one.set_name(name);
        one.set_total(total);
    }
    MR_TRY(const auto response, call(&Stub::CreatePartitions, request, "CreatePartitions", true));
    std::vector<Outcome> outcomes;
    std::transform(response.topics().begin(), response.topics().end(), std::back_inserter(outcomes),
                   outcome_of<v1::TopicOutcome>);
    return outcomes;
}

Result<std::vector<Outcome>> Connection::alter_topics(const std::vector<SettingsChange>& changes) {
    MR_TRY(const auto response, call(&Stub::AlterConfigs, to_proto(changes), "AlterConfigs", true));
    return from_proto(response);
}

Result<void> Connection::alter_defaults(const SettingsChange& change) {
    MR_TRY(const auto outcomes, alter_topics({change}));
    return all_done(outcomes);
}

Result<void> Connection::cordon_volumes(int id, const std::vector<std::string>& paths) {
    // Its directories are known to it alone: no other broker can say whether they are its own.
    for (const Node& node : all_nodes()) {
        if (node.id == id && node.is_broker) {
            MR_TRY(const auto response, call(*node.stub, &Stub::AlterConfigs,
                                             cordon_request(id, paths), "AlterConfigs"));
            return all_done(from_proto(response));
        }
    }
    return Error::make(Code::unavailable, "AlterConfigs: broker {} isn't there", id);
}

Result<std::vector<Outcome>> Connection::delete_topics(const std::vector<std::string>& names) {
    v1::DeleteTopicsRequest request;
    for (const std::string& name : names) {
        request.add_topics()->set_name(name);
    }
    MR_TRY(const auto response, call(&Stub::DeleteTopics, request, "DeleteTopics", true));
    std::vector<Outcome> outcomes;
    std::transform(response.topics().begin(), response.topics().end(), std::back_inserter(outcomes),
                   outcome_of<v1::TopicOutcome>);
    return outcomes;
}

}  // namespace millrace::brokers
