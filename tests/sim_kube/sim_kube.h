// A Kubernetes in memory for tests of the operator: the API server's promises (versions, uids,
// preconditions, server-side apply of one manager), the controllers and kubelets that pods need,
// and behind the pods a simulated cluster of brokers. Nothing happens between steps that the test
// gives.
//
// What a test makes go wrong: the operator's process dies after its k-th write (everything it calls
// from then on fails, the write itself holds), calls are refused, caches stay behind.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/time.h"
#include "operator/brokers/admin.h"
#include "operator/certificates/certificates.h"
#include "operator/kube/api.h"
#include "operator/kube/cache.h"
#include "tests/sim_admin/sim_cluster.h"

namespace millrace::sim_kube {

using kube::Json;
using kube::Kind;
using kube::ObjectKey;

class SimKube final : public kube::Api {
public:
    explicit SimKube(std::vector<std::string> zones = {"a", "b", "c"});

    // ---- The world ---------------------------------------------------------------------------
    sim_admin::SimCluster& brokers() { return *brokers_; }
    /// As a person with kubectl: creates it, or replaces its spec and raises its generation.
    void put(const Kind& kind, Json object);
    void take_away(const Kind& kind, const ObjectKey& key);
    /// As a controller of Kubernetes' own does.
    void set_status(const Kind& kind, const ObjectKey& key, Json status);
    void annotate(const Kind& kind, const ObjectKey& key, const std::string& name,
                  const std::string& value);
    /// All of this kind, as a deletion with orphans does.
    void disown(const Kind& kind);
    std::optional<Json> find(const Kind& kind, const ObjectKey& key) const;
    std::vector<Json> all(const Kind& kind) const;
    /// Claims get bound, pods get nodes and addresses, containers start and stop, brokers tick.
    void step();
    /// Pods whose name is in here are never started; the text is what they say.
    std::map<std::string, std::string> broken_pods;
    /// Their nodes have lost power: what ran is said to run, and isn't ready.
    std::set<std::string> silent_pods;
    /// Pods with this in an argument or in their settings end at once, saying so.
    std::string poison;
    /// Pods with this in their JSON are no pods to the API server.
    std::string nonsense;
    /// What a ResourceQuota leaves all pods together of limits.memory; empty: there is none.
    std::string memory_quota;
    std::optional<std::size_t> claims_quota;  ///< How many claims there may be.
    /// Claims of these classes are never bound, and their pods never scheduled.
    std::set<std::string> missing_classes;

    /// As Kubernetes 1.35: a pod gets its node's zone as a label.
    bool copies_labels = true;
    /// Steps from an operator's start until it hears its brokers.
    int heard_after = 0;
    /// Pods come to other nodes than before.
    int shift_nodes = 0;
    /// What the settings that this pod mounts say; empty: nothing.
    std::string setting_of(const Json& pod, const std::string& name) const;
    /// Steps from a Secret that is written to the node that has taken it up, or to its pod's
    /// change; negative: nodes can't be hurried.
    int take_up_after = 2;

    // ---- What goes wrong
    // --------------------------------------------------------------------------
    void die_after(int writes) { writes_left_ = writes; }
    bool is_dead() const { return writes_left_ == 0; }
    void revive() { writes_left_ = -1; }
    /// The next `times` calls of this verb ("apply", "create", "remove", ...) are refused so.
    void refuse(const std::string& verb, Code code, int times = 1);
    /// Nothing new of this kind reaches caches until it is thawed.
    void freeze(const Kind& kind) { frozen_.insert(std::string(kind.plural)); }
    void thaw() { frozen_.clear(); }

    // ---- What a test looks at ------------------------------------------------------------------
    int writes() const { return writes_; }
    /// "apply pods main-0", in order.
    const std::vector<std::string>& journal() const { return journal_; }
    void forget_journal() { journal_.clear(); }
    /// "secrets default/ours" of each object that was asked for by name.
    const std::set<std::string>& reads() const { return reads_; }
    /// Pods that were deleted by the operator while another broker was not in sync.
    int second_disruptions() const { return second_disruptions_; }

    /// Pairs of nodes, or node and operator, of which one didn't believe the other's certificate,
    /// counted at every step.
    int refused_handshakes() const { return refused_handshakes_; }

    /// The operator's caches; a dead operator's successor has its own.
    kube::ObjectCache& cache(const Kind& kind);
    /// As watches would, for all but what is frozen.
    void bring_caches_up_to_date();
    void drop_caches() { caches_.clear(); }
    std::shared_ptr<brokers::Directory> directory();
    void set_now(Timestamp now) { now_ = now; }

    // ---- kube::Api
    // -------------------------------------------------------------------------------
    Result<Json> get(const Kind& kind, const ObjectKey& key) override;
    Result<kube::Listed> list(const Kind& kind, const kube::Selection& selection) override;
    Result<Json> create(const Kind& kind, const Json& object) override;
    Result<Json> rehearse_create(const Kind& kind, const Json& object) override;
    Result<Json> replace(const Kind& kind, const Json& object) override;
    Result<Json> apply(const Kind& kind, const Json& object) override;
    Result<Json> apply_status(const Kind& kind, const Json& object) override;
    Result<Json> merge(const Kind& kind, const ObjectKey& key, const Json& patch) override;
    Result<Json> remove(const Kind& kind, const ObjectKey& key,
                        const kube::Preconditions& preconditions) override;
    Result<void> watch(const Kind& kind, const kube::Selection& selection,
                       const std::string& version, const kube::OnChange& on_change) override;
    void stop() override {}

    /// What a node holds of its Secret.
    struct NodeFiles {
        std::string version;
        int steps_behind = 0;
        certificates::KeyPair own;
        std::string trusted_pem;
        std::string hurried = {};  ///< What the pod said when it was looked at last.
    };

private:
    using Objects = std::map<ObjectKey, Json>;

    Result<void> enter(const std::string& verb);
    Result<void> judge(const Kind& kind, const Json& object);
    void wrote(const std::string& verb, const Kind& kind, const ObjectKey& key);
    Json& store(const Kind& kind, Json object);
    Objects& of(const Kind& kind) { return objects_[std::string(kind.plural)]; }
    void fill(kube::ObjectCache& cache, std::string_view plural);
    void run_pod(Json& pod);
    void start_broker(const Json& pod, int id);
    void take_up_secrets();
    void shake_hands();
    std::string rack_of(const Json& pod) const;
    void erase_pod(const ObjectKey& key);
    bool is_mounted(const ObjectKey& claim) const;
    void collect_garbage();
    bool mounts_exist(const Json& pod);
    void tell_missing_mounts(const Json& pod);
    bool is_poisoned(const Json& pod);
    bool waits_for_a_disk(const Json& pod);

    std::map<std::string, std::string> zone_by_pod_;  ///< Of those that wished for one.
    std::vector<std::string> zones_;
    std::shared_ptr<sim_admin::SimCluster> brokers_;
    std::map<std::string, Objects> objects_;
    std::map<std::string, std::map<ObjectKey, Json>> applied_;
    std::map<std::string, std::unique_ptr<kube::ObjectCache>> caches_;
    std::map<std::string, std::string> address_by_pod_;
    std::set<int> running_brokers_;
    std::shared_ptr<std::map<int, NodeFiles>> files_ = std::make_shared<std::map<int, NodeFiles>>();
    std::shared_ptr<int> steps_ = std::make_shared<int>(0);
    int refused_handshakes_ = 0;
    std::string shaken_;  ///< Versions of what was there when hands were shaken last.
    std::map<std::string, std::pair<Code, int>> refusals_;
    std::set<std::string> frozen_;
    std::vector<std::string> journal_;
    std::set<std::string> reads_;
    Timestamp now_{1'700'000'000'000};
    std::int64_t version_ = 100;
    std::int64_t next_uid_ = 1;
    int writes_ = 0;
    int writes_left_ = -1;  ///< -1: lives for ever.
    int second_disruptions_ = 0;
};

}  // namespace millrace::sim_kube
