// operator/brokers/internal/connection.h
//
// One cluster's Admin: a channel to one of its brokers and the health stream over it. keep() is
// called by the directory's keeper thread and does what is due: open the next broker's channel,
// give up a silent one. Calls and gRPC's callbacks come from other threads; one lock, never held
// over a call.
#pragma once

#include <grpcpp/grpcpp.h>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/time.h"
#include "millrace/admin/v1/admin.grpc.pb.h"
#include "operator/brokers/client.h"
#include "operator/brokers/internal/convert.h"

namespace millrace::brokers {

std::shared_ptr<grpc::Channel> make_channel(const Endpoint& endpoint, const Identity& identity);
void set_deadline(grpc::ClientContext& context, Duration deadline);

class Connection final : public Admin, public std::enable_shared_from_this<Connection> {
public:
    Connection(std::string cluster, const DirectoryOptions& options);

    void follow(std::vector<Endpoint> endpoints, Identity identity);
    /// What is due at this time; when to be called again at the latest.
    Instant keep(Instant now);
    void close();

    std::shared_ptr<const ClusterFacts> facts() const override;
    Result<ClusterFacts> ask_facts() override;
    Result<CertificateUses> certificates() override;
    Result<RestartVerdict> restart_check(const std::vector<int>& ids) override;
    Result<RestartProgress> restart_progress(int id) override;
    Result<int> drain_leaders(int id, bool undo) override;
    Result<void> cordon(const std::vector<int>& ids, bool cordoned) override;
    Result<void> unregister(int id) override;
    Result<Volumes> volumes(int id) override;
    Result<void> cordon_volumes(int id, const std::vector<std::string>& paths) override;
    Result<QuorumFacts> quorum() override;
    Result<void> add_voter(const QuorumNode& node, const std::string& address) override;
    Result<void> remove_voter(const QuorumNode& node) override;
    Result<PlanFacts> plan(const PlanWish& wish) override;
    Result<PlanProgress> apply_plan(const std::string& hash, std::int64_t throttle) override;
    Result<PlanProgress> plan_progress(const std::string& hash) override;
    Result<void> cancel_plan(const std::string& hash) override;
    Result<void> alter_defaults(const SettingsChange& change) override;
    Result<std::vector<TopicFacts>> topics(const std::vector<std::string>& names) override;
    Result<std::vector<Outcome>> create_topics(const std::vector<NewTopic>& topics) override;
    Result<std::vector<Outcome>> grow_topics(const std::map<std::string, int>& totals) override;
    Result<std::vector<Outcome>> alter_topics(const std::vector<SettingsChange>& changes) override;
    Result<std::vector<Outcome>> delete_topics(const std::vector<std::string>& names) override;
    Result<LinkFacts> link(const LinkWish& wish) override;
    Result<void> apply_link(const LinkWish& wish, std::int64_t expected_version) override;
    Result<void> delete_link(const std::string& name, bool promote_topics) override;

private:
    struct Introduction;
    class HealthStream;
    using Stub = v1::Admin::Stub;

    void open(Instant now);
    void introduced(std::uint64_t attempt, const grpc::Status& status,
                    const std::string& cluster_id);
    void heard(std::uint64_t attempt, const v1::HealthResponse& health);
    void ended(std::uint64_t attempt, const std::string& reason);
    std::shared_ptr<Stub> stub() const;
    struct Node {
        int id = -1;
        bool is_broker = true;
        std::shared_ptr<Stub> stub;
    };
    /// Each with a stub of its own, kept for as long as it is reached the same way.
    std::vector<Node> all_nodes();
    std::string cluster_id() const;

    /// One unary call with a deadline; Call is a member of Stub.
    template <typename Request, typename Response>
    Result<Response> call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                       Response*),
                          const Request& request, std::string_view name, bool slow = false);
    template <typename Request, typename Response>
    Result<Response> call(Stub& to,
                          grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                       Response*),
                          const Request& request, std::string_view name, bool slow = false);

    const std::string cluster_;
    const DirectoryOptions options_;
    mutable std::mutex mutex_;
    std::vector<Endpoint> endpoints_;    ///< Of brokers: any of them speaks for the cluster.
    std::vector<Endpoint> controllers_;  ///< Of dedicated ones.
    Identity identity_;
    std::size_t next_endpoint_ = 0;
    std::uint64_t attempt_ = 0;  ///< Grows with each channel: callbacks of older ones are ignored.
    bool closed_ = false;
    bool opening_ = false;
    std::shared_ptr<grpc::Channel> channel_;
    std::shared_ptr<Stub> stub_;  ///< Set once the broker said which cluster it belongs to.
    std::shared_ptr<HealthStream> stream_;
    std::shared_ptr<const ClusterFacts> facts_;
    std::string cluster_id_;
    std::map<std::string, std::shared_ptr<Stub>> stubs_by_address_;
    Identity stubs_identity_;
    Instant open_at_;
    Instant heard_at_;
    Duration pause_{0};
};

template <typename Request, typename Response>
Result<Response> Connection::call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                               Response*),
                                  const Request& request, std::string_view name, bool slow) {
    const std::shared_ptr<Stub> to = stub();
    if (!to) {
        return Error::make(Code::unavailable, "{}: no broker of {} answers", name, cluster_);
    }
    return call(*to, method, request, name, slow);
}

template <typename Request, typename Response>
Result<Response> Connection::call(Stub& to,
                                  grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                               Response*),
                                  const Request& request, std::string_view name, bool slow) {
    grpc::ClientContext context;
    set_deadline(context, slow ? options_.slow_deadline : options_.deadline);
    Response response;
    const grpc::Status status = (to.*method)(&context, request, &response);
    if (!status.ok()) {
        return error_of(status, name);
    }
    return response;
}

}  // namespace millrace::brokers
