// Doors that answer from fields a test sets.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <tuple>

#include "admin/doors.h"

namespace millrace::admin {

class FakeDoors : public AdminDoors {
public:
    Principal principal_of(const Peer& peer) const override {
        const std::lock_guard lock{mutex_};
        peer_ = peer;
        return AdminDoors::principal_of(peer);
    }
    bool allows(const Principal&, std::string_view, std::int8_t operation, std::int8_t resource,
                std::string_view name) const override {
        const std::lock_guard lock{mutex_};
        asked_.emplace_back(operation, resource, std::string{name});
        return denied_.count(std::string{name}) == 0;
    }
    QuorumEpoch epoch() const override { return QuorumEpoch{7}; }
    BrokerId self() const override { return BrokerId{3}; }
    std::vector<BrokerId> other_brokers() const override { return {BrokerId{4}}; }
    std::shared_ptr<const config::BrokerConfig> config() const override {
        return std::make_shared<const config::BrokerConfig>(config::load({}).given);
    }
    void identity(Reply<Identity> reply) override {
        Identity identity;
        identity.cluster_id = "Zm9vYmFyYmF6cXV4cXV4eA";
        identity.broker_id = BrokerId{3};
        identity.version = "0.1.0";
        identity.features = {{"metadata.version", std::int16_t{33}}};
        identity.roles = {"broker", "controller"};
        reply(identity);
    }
    std::unique_ptr<Subscription> watch_health(UniqueFunction<void(Health)> news) override {
        const std::lock_guard lock{mutex_};
        news_ = std::make_shared<UniqueFunction<void(Health)>>(std::move(news));
        Health first;
        first.epoch = QuorumEpoch{7};
        (*news_)(first);
        struct Ends : Subscription {
            explicit Ends(FakeDoors& owner) : doors(owner) {}
            ~Ends() override { doors.ended_ = true; }
            FakeDoors& doors;
        };
        return std::make_unique<Ends>(*this);
    }
    void restart_check(Caller, RestartQuestion question, Reply<RestartVerdict> reply) override {
        RestartVerdict verdict;
        verdict.allowed = question.brokers.size() == 1;
        for (int i = 0; i < 150; ++i) {
            RestartBlocker blocker;
            blocker.partition = TopicPartition{"orders", PartitionIndex{i}};
            verdict.blockers.push_back(blocker);
        }
        reply(verdict);
    }
    void cordon(Caller caller, std::vector<BrokerId> brokers, bool cordoned,
                Reply<std::vector<BrokerId>> reply) override {
        const std::lock_guard lock{mutex_};
        ++cordons_;
        if (cordon_fails_) {
            reply(*cordon_fails_);
        } else if (caller.dry_run) {
            reply(std::vector<BrokerId>{});
        } else if (hold_) {
            held_ = std::move(reply);
        } else {
            reply(cordoned ? brokers : std::vector<BrokerId>{});
        }
    }

    void kafka(Caller, KafkaCall call, Reply<Buffer> reply) override {
        calls_.push_back(call);
        reply(answer_(call));
    }

    void tell(const Health& health) {
        const std::lock_guard lock{mutex_};
        (*news_)(health);
    }

    mutable std::mutex mutex_;
    mutable std::vector<std::tuple<std::int8_t, std::int8_t, std::string>> asked_;
    std::function<Result<Buffer>(const KafkaCall&)> answer_ = [](const KafkaCall&) {
        return Error(Code::unsupported, "no answer is set");
    };
    std::vector<KafkaCall> calls_;
    mutable Peer peer_;
    std::set<std::string> denied_;
    std::shared_ptr<UniqueFunction<void(Health)>> news_;
    std::atomic<bool> ended_ = false;
    int cordons_ = 0;
    bool hold_ = false;
    std::optional<Error> cordon_fails_;
    Reply<std::vector<BrokerId>> held_;
};

}  // namespace millrace::admin
