// The simulated brokers as the operator reaches them, without gRPC in between.
#include <functional>

#include "operator/brokers/internal/convert.h"
#include "operator/brokers/internal/convert_links.h"
#include "tests/sim_kube/sim_kube.h"

namespace millrace::sim_kube {

namespace {

namespace v1 = millrace::admin::v1;
using sim_admin::SimCluster;

class SimAdminDoor final : public brokers::Admin {
public:
    SimAdminDoor(std::shared_ptr<SimCluster> cluster,
                 std::shared_ptr<const std::map<int, SimKube::NodeFiles>> files,
                 std::function<bool()> is_heard)
        : cluster_(std::move(cluster)), files_(std::move(files)), is_heard_(std::move(is_heard)) {}

    std::shared_ptr<const brokers::ClusterFacts> facts() const override {
        const auto health = cluster_->health();
        bool anyone = false;
        if (!is_heard_()) {
            return nullptr;
        }
        for (const auto& broker : health.brokers()) {
            anyone |= broker.state() == v1::BROKER_STATE_RUNNING;
        }
        return anyone
                   ? std::make_shared<const brokers::ClusterFacts>(brokers::from_proto(health, ""))
                   : nullptr;
    }
    Result<brokers::ClusterFacts> ask_facts() override {
        const auto now = facts();
        if (!now) {
            return Error(Code::unavailable, "no broker answers");
        }
        return *now;
    }
    Result<brokers::CertificateUses> certificates() override {
        brokers::CertificateUses uses;
        for (const auto& [id, files] : *files_) {
            MR_TRY(auto serial, certificates::serial_of(files.own.certificate_pem));
            uses[id] = {{std::move(serial)}, certificates::fingerprints_of(files.trusted_pem)};
        }
        return uses;
    }
    Result<brokers::RestartVerdict> restart_check(const std::vector<int>& ids) override {
        v1::RestartCheckRequest request;
        request.mutable_broker_ids()->Add(ids.begin(), ids.end());
        request.set_with_those_down(true);
        MR_TRY(const auto response, cluster_->RestartCheck(request));
        return brokers::from_proto(response);
    }
    Result<brokers::RestartProgress> restart_progress(int id) override {
        v1::RestartProgressRequest request;
        request.set_broker_id(id);
        MR_TRY(const auto response, cluster_->RestartProgress(request));
        return brokers::from_proto(response);
    }
    Result<int> drain_leaders(int, bool) override { return Error(Code::unsupported, "unused"); }
    Result<void> cordon(const std::vector<int>& ids, bool cordoned) override {
        if (cordoned) {
            v1::CordonRequest request;
            request.mutable_broker_ids()->Add(ids.begin(), ids.end());
            MR_TRY(const auto response, cluster_->Cordon(request));
            (void)response;
            return {};
        }
        v1::UncordonRequest request;
        request.mutable_broker_ids()->Add(ids.begin(), ids.end());
        MR_TRY(const auto response, cluster_->Uncordon(request));
        (void)response;
        return {};
    }
    Result<void> unregister(int id) override {
        v1::UnregisterBrokerRequest request;
        request.set_broker_id(id);
        MR_TRY(const auto response, cluster_->UnregisterBroker(request));
        (void)response;
        return {};
    }
    Result<void> cordon_volumes(int id, const std::vector<std::string>& paths) override {
        MR_TRY(const auto response, cluster_->AlterConfigs(brokers::cordon_request(id, paths)));
        return brokers::all_done(brokers::from_proto(response));
    }
    Result<brokers::Volumes> volumes(int id) override {
        v1::DescribeLogDirsRequest request;
        request.add_broker_ids(id);
        request.set_with_replicas(true);
        MR_TRY(const auto response, cluster_->DescribeLogDirs(request));
        return brokers::from_proto(response, id);
    }
    Result<brokers::QuorumFacts> quorum() override {
        MR_TRY(const auto response, cluster_->DescribeQuorum({}));
        return brokers::from_proto(response.quorum());
    }
    Result<void> add_voter(const brokers::QuorumNode& node, const std::string& address) override {
        MR_TRY(const auto request, brokers::to_proto(node, address));
        MR_TRY(const auto response, cluster_->AddVoter(request));
        (void)response;
        return {};
    }
    Result<void> remove_voter(const brokers::QuorumNode& node) override {
        v1::RemoveVoterRequest request;
        request.set_id(node.id);
        request.set_directory_id(node.directory);
        MR_TRY(const auto response, cluster_->RemoveVoter(request));
        (void)response;
        return {};
    }
    Result<brokers::PlanFacts> plan(const brokers::PlanWish& wish) override {
        MR_TRY(const auto response, cluster_->PlanRebalance(brokers::to_proto(wish)));
        return brokers::from_proto(response.plan());
    }
    Result<brokers::PlanProgress> apply_plan(const std::string& hash,
                                             std::int64_t throttle) override {
        v1::ApplyPlanRequest request;
        request.set_hash(hash);
        request.mutable_limits()->set_throttle_bytes_per_second(throttle);
        MR_TRY(const auto response, cluster_->ApplyPlan(request));
        return brokers::from_proto(response.progress());
    }
    Result<brokers::PlanProgress> plan_progress(const std::string& hash) override {
        v1::GetPlanRequest request;
        request.set_hash(hash);
        MR_TRY(const auto response, cluster_->GetPlan(request));
        return brokers::from_proto(response.progress());
    }
    Result<void> cancel_plan(const std::string& hash) override {
        v1::CancelPlanRequest request;
        request.set_hash(hash);
        MR_TRY(const auto response, cluster_->CancelPlan(request));
        (void)response;
        return {};
    }
    Result<std::vector<brokers::TopicFacts>> topics(
        const std::vector<std::string>& names) override {
        v1::DescribeTopicsRequest request;
        for (const std::string& name : names) {
            request.add_topics()->set_name(name);
        }
        MR_TRY(const auto response, cluster_->DescribeTopics(request));
        std::vector<brokers::TopicFacts> facts;
        for (const auto& topic : response.topics()) {
            if (topic.error().kafka_error() == 0) {
                facts.push_back(brokers::from_proto(topic));
            }
        }
        return facts;
    }
    Result<std::vector<brokers::Outcome>> create_topics(
        const std::vector<brokers::NewTopic>& topics) override {
        v1::CreateTopicsRequest request;
        for (const brokers::NewTopic& topic : topics) {
            auto& one = *request.add_topics();
            one.set_name(topic.name);
            one.set_partitions(topic.partitions);
            one.set_replication_factor(topic.replication_factor);
            one.mutable_configs()->insert(topic.configs.begin(), topic.configs.end());
        }
        MR_TRY(const auto response, cluster_->CreateTopics(request));
        std::vector<brokers::Outcome> outcomes;
        for (const auto& one : response.topics()) {
            outcomes.push_back(
                {one.name(), one.id(), one.error().kafka_error(), one.error().message()});
        }
        return outcomes;
    }
    Result<std::vector<brokers::Outcome>> grow_topics(
        const std::map<std::string, int>& totals) override {
        v1::CreatePartitionsRequest request;
        for (const auto& [name, total] : totals) {
            auto& one = *request.add_topics();
            one.set_name(name);
            one.set_total(total);
        }
        MR_TRY(const auto response, cluster_->CreatePartitions(request));
        return outcomes_of(response);
    }
    Result<std::vector<brokers::Outcome>> alter_topics(
        const std::vector<brokers::SettingsChange>& changes) override {
        MR_TRY(const auto response, cluster_->AlterConfigs(brokers::to_proto(changes)));
        return brokers::from_proto(response);
    }
    Result<void> alter_defaults(const brokers::SettingsChange& change) override {
        MR_TRY(const auto outcomes, alter_topics({change}));
        return brokers::all_done(outcomes);
    }
    Result<std::vector<brokers::Outcome>> delete_topics(
        const std::vector<std::string>& names) override {
        v1::DeleteTopicsRequest request;
        for (const std::string& name : names) {
            request.add_topics()->set_name(name);
        }
        MR_TRY(const auto response, cluster_->DeleteTopics(request));
        return outcomes_of(response);
    }
    Result<brokers::LinkFacts> link(const brokers::LinkWish& wish) override {
        v1::GetLinkRequest request;
        request.set_name(wish.name);
        const auto response = cluster_->GetLink(request);
        if (!response && response.error().code() == Code::not_found) {
            return brokers::LinkFacts{};
        }
        if (!response) {
            return response.error();
        }
        return brokers::merge(wish, {*response});
    }
    Result<void> apply_link(const brokers::LinkWish& wish, std::int64_t expected_version) override {
        v1::ApplyLinkRequest request;
        *request.mutable_link() = brokers::to_proto(wish);
        request.set_expected_version(expected_version);
        MR_TRY(const auto response, cluster_->ApplyLink(request));
        (void)response;
        return {};
    }
    Result<void> delete_link(const std::string& name, bool promote_topics) override {
        v1::DeleteLinkRequest request;
        request.set_name(name);
        request.set_topics(promote_topics ? v1::DeleteLinkRequest::TOPICS_PROMOTE
                                          : v1::DeleteLinkRequest::TOPICS_KEEP_READ_ONLY);
        MR_TRY(const auto response, cluster_->DeleteLink(request));
        (void)response;
        return {};
    }

private:
    template <typename Response>
    static std::vector<brokers::Outcome> outcomes_of(const Response& response) {
        std::vector<brokers::Outcome> outcomes;
        for (const auto& one : response.topics()) {
            outcomes.push_back({one.name(), "", one.error().kafka_error(), one.error().message()});
        }
        return outcomes;
    }

    std::shared_ptr<SimCluster> cluster_;
    std::shared_ptr<const std::map<int, SimKube::NodeFiles>> files_;
    std::function<bool()> is_heard_;
};

class SimDirectory final : public brokers::Directory {
public:
    SimDirectory(std::shared_ptr<SimCluster> cluster,
                 std::shared_ptr<const std::map<int, SimKube::NodeFiles>> files,
                 std::function<bool()> is_heard)
        : door_(std::make_shared<SimAdminDoor>(std::move(cluster), std::move(files),
                                               std::move(is_heard))) {}

    std::shared_ptr<brokers::Admin> reach(const std::string& cluster,
                                          const std::vector<brokers::Endpoint>& endpoints,
                                          const brokers::Identity&) override {
        if (!endpoints.empty()) {
            reached_.insert(cluster);
        }
        return find(cluster);
    }
    std::shared_ptr<brokers::Admin> find(const std::string& cluster) override {
        return reached_.contains(cluster) ? door_ : nullptr;
    }
    void forget(const std::string& cluster) override { reached_.erase(cluster); }

private:
    std::shared_ptr<brokers::Admin> door_;
    std::set<std::string> reached_;
};

}  // namespace

std::shared_ptr<brokers::Directory> SimKube::directory() {
    return std::make_shared<SimDirectory>(
        brokers_, files_,
        [steps = steps_, from = *steps_ + heard_after] { return *steps >= from; });
}

}  // namespace millrace::sim_kube
