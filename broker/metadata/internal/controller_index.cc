#include "metadata/controller_index.h"

#include <algorithm>

namespace millrace::metadata {
namespace {

bool is_eligible(const Partition* partition, BrokerId broker) {
    return partition != nullptr && (partition->isr.contains(broker) ||
                                    partition->elr.contains(broker) || partition->leader == broker);
}

template <typename Visit>
void for_each_eligible(const Partition& partition, Visit visit) {
    for (const BrokerId broker : partition.isr) {
        visit(broker);
    }
    for (const BrokerId broker : partition.elr) {
        visit(broker);
    }
    if (partition.leader != no_broker) {
        visit(partition.leader);
    }
}

void put(ControllerIndex::PartitionSet& set, const TopicIdPartition& which, bool in) {
    if (in && !set.contains(which)) {
        set.set(which, Nothing{});
    } else if (!in) {
        set.erase(which);
    }
}

}  // namespace

ControllerIndex ControllerIndex::of(const Image& image) {
    ControllerIndex index;
    for (const auto& [id, topic] : image.topics.by_id()) {
        index.add_name(id, topic->name);
        for (const auto& [partition, state] : topic->partitions) {
            index.change({id, partition}, nullptr, state.get());
        }
    }
    for (const auto& [id, acl] : image.acls) {
        index.acl_ids_.set(acl, id);
    }
    return index;
}

void ControllerIndex::apply(const Delta& delta) {
    for (const auto& [id, name] : delta.changes().topics_deleted) {
        const std::string fold = folded(name);
        if (const Uuid* held = folded_names_.find(fold); held != nullptr && *held == id) {
            folded_names_.erase(fold);
        }
        if (const Topic* topic = delta.before().topics.find(id)) {
            for (const auto& [partition, state] : topic->partitions) {
                change({id, partition}, state.get(), nullptr);
            }
        }
    }
    for (const Uuid& id : delta.changes().acls) {
        if (const Acl* gone = delta.before().acls.find(id)) {
            acl_ids_.erase(*gone);
        }
    }
    for (const Uuid& id : delta.changes().acls) {
        if (const Acl* there = delta.after().acls.find(id)) {
            acl_ids_.set(*there, id);
        }
    }
    for (const Uuid& id : delta.changes().topics_created) {
        add_name(id, delta.after().topics.find(id)->name);
    }
    for (const TopicIdPartition& which : delta.changes().partitions) {
        change(which, delta.before().topics.partition(which),
               delta.after().topics.partition(which));
    }
}

void ControllerIndex::add_name(const Uuid& id, std::string_view name) {
    if (name.find_first_of("._") != std::string_view::npos) {
        folded_names_.set(folded(name), id);
    }
}

std::string ControllerIndex::folded(std::string_view name) {
    std::string fold(name);
    std::replace(fold.begin(), fold.end(), '.', '_');
    return fold;
}

const Uuid* ControllerIndex::topic_like(std::string_view name) const {
    return folded_names_.find(folded(name));
}

void ControllerIndex::change(const TopicIdPartition& which, const Partition* before,
                             const Partition* after) {
    const auto set_eligible = [&](BrokerId broker, bool in) {
        PartitionSet* set = eligible_.mutate(broker);
        if (set == nullptr) {
            eligible_.set(broker, {});
            set = eligible_.mutate(broker);
        }
        put(*set, which, in);
        if (set->empty()) {
            eligible_.erase(broker);
        }
    };
    if (before != nullptr) {
        for_each_eligible(*before, [&](BrokerId broker) {
            if (!is_eligible(after, broker)) {
                set_eligible(broker, false);
            }
        });
    }
    if (after != nullptr) {
        for_each_eligible(*after, [&](BrokerId broker) {
            if (!is_eligible(before, broker)) {
                set_eligible(broker, true);
            }
        });
    }
    count(before, -1);
    count(after, +1);
    put(leaderless_, which, after != nullptr && after->leader == no_broker);
    put(reassigning_, which, after != nullptr && after->is_reassigning());
    put(imbalanced_, which, after != nullptr && !after->has_preferred_leader());
}

void ControllerIndex::count(const Partition* partition, std::int64_t by) {
    if (partition == nullptr) {
        return;
    }
    for (std::size_t i = 0; i < partition->replicas.size(); ++i) {
        const BrokerId broker = partition->replicas[i];
        Load load = load_of(broker);
        load.replicas += by;
        load.preferred_leaders += i == 0 ? by : 0;
        load.leaders += broker == partition->leader ? by : 0;
        if (load == Load{}) {
            load_.erase(broker);
        } else {
            load_.set(broker, load);
        }
    }
}

const ControllerIndex::PartitionSet& ControllerIndex::eligible_on(BrokerId broker) const {
    static const PartitionSet none;
    const PartitionSet* set = eligible_.find(broker);
    return set != nullptr ? *set : none;
}

ControllerIndex::Load ControllerIndex::load_of(BrokerId broker) const {
    const Load* load = load_.find(broker);
    return load != nullptr ? *load : Load{};
}

bool operator==(const ControllerIndex& a, const ControllerIndex& b) {
    return a.folded_names_ == b.folded_names_ && a.acl_ids_ == b.acl_ids_ &&
           a.eligible_ == b.eligible_ && a.load_ == b.load_ && a.leaderless_ == b.leaderless_ &&
           a.reassigning_ == b.reassigning_ && a.imbalanced_ == b.imbalanced_;
}

}  // namespace millrace::metadata
