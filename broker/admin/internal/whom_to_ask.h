// admin/internal/whom_to_ask.h
//
// A group is answered for by its coordinator, a partition's offsets by its leader: who that is gets
// looked up, then each broker is asked once for all that is its own. Answers may come from any
// thread, one at a time.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "admin/internal/kafka_call.h"
#include "admin/offsets.h"

namespace millrace::admin {

/// A broker, or Kafka's reason why there is none.
struct Whom {
    BrokerId broker = no_broker;
    KafkaError error = KafkaError::none;
};

using Coordinators = std::map<std::string, Whom>;  ///< By group.
using Leaders = std::map<PartitionKey, Whom>;

void find_coordinators(AdminDoors& doors, const Caller& caller, const std::set<std::string>& groups,
                       Answer<Coordinators> answer);

/// Of these partitions; one that isn't there has its error.
void find_leaders(AdminDoors& doors, const Caller& caller, const std::set<PartitionKey>& partitions,
                  Answer<Leaders> answer);

constexpr std::int64_t earliest = -2;

/// Where partitions begin and end.
struct Bounds {
    FoundOffsets starts;
    FoundOffsets ends;
};
void find_bounds(AdminDoors& doors, const Caller& caller, const std::set<PartitionKey>& partitions,
                 Answer<Bounds> answer);

/// Asks each of these brokers its own question. `heard(broker, error, answer or nullptr)` for each,
/// one at a time, and `done()` after the last.
template <typename KafkaResponse, typename KafkaRequest, typename Heard>
void ask_each(AdminDoors& doors, const Caller& caller, std::int16_t version,
              const std::map<BrokerId, KafkaRequest>& requests, Heard heard,
              UniqueFunction<void()> done) {
    struct Asking {
        std::mutex mutex;
        std::size_t left;
        Heard heard;
        UniqueFunction<void()> done;
        Asking(std::size_t count, Heard heard_in, UniqueFunction<void()> done_in)
            : left(count), heard(std::move(heard_in)), done(std::move(done_in)) {}
    };
    if (requests.empty()) {
        done();
        return;
    }
    const auto asking =
        std::make_shared<Asking>(requests.size(), std::move(heard), std::move(done));
    for (const auto& [broker, request] : requests) {
        ask_kafka<KafkaResponse>(
            doors, caller, version, request,
            [asking, broker = broker](const Error& error, const KafkaResponse* response) {
                bool is_last = false;
                {
                    const std::lock_guard lock(asking->mutex);
                    asking->heard(broker, error, response);
                    is_last = --asking->left == 0;
                }
                if (is_last) {
                    asking->done();
                }
            },
            broker);
    }
}

/// Puts a partition below its topic in a request whose topics have a name and partitions. The name
/// is a view into the key.
template <typename Topics, typename Partition>
void add_partition(Topics& topics, const PartitionKey& key, Partition partition) {
    if (topics.empty() || topics.back().name != key.first) {
        topics.emplace_back().name = key.first;
    }
    topics.back().partitions.push_back(std::move(partition));
}

}  // namespace millrace::admin
