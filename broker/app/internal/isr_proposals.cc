#include "app/internal/isr_proposals.h"

#include <array>
#include <map>
#include <utility>
#include <vector>

#include "metadata/link_mark.h"
#include "protocol/arena.h"
#include "protocol/messages/alter_partition_request.h"
#include "protocol/messages/alter_partition_response.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::app {
namespace {

using protocol::AlterPartitionRequest;
using protocol::AlterPartitionResponse;
using Answer = handlers::ControllerDoor::Answer;

/// One attempt: a second one that nobody sees would be refused for what the first one did.
constexpr Duration as_long_as_it_takes{};

}  // namespace

struct IsrProposals::Inside : std::enable_shared_from_this<IsrProposals::Inside> {
    struct Entry {
        Proposal proposal;
        UniqueFunction<void(KafkaError)> refused;
    };

    Inside(BrokerId self_in, runtime::Executor& control_in, const Logger& log_in)
        : self(self_in), control(control_in), log(log_in) {}

    /// What else is proposed in this turn of the loop goes along: a thousand mirrors that are
    /// promoted together ask once.
    void send_soon() {
        if (std::exchange(is_armed, true)) {
            return;
        }
        control.post([weak = weak_from_this()] {
            if (auto self = weak.lock()) {
                self->is_armed = false;
                self->send();
            }
        });
    }

    void send() {
        if (controller == nullptr || !in_flight.empty() || waiting.empty()) {
            return;
        }
        in_flight = std::exchange(waiting, {});
        AlterPartitionRequest request;
        request.broker_id = self.value;
        request.broker_epoch = lifecycle->epoch().value;
        protocol::Arena arena;
        std::map<Uuid, std::size_t> topics;
        for (const auto& [id, entry] : in_flight) {
            auto [at, fresh] = topics.try_emplace(id.topic_id, request.topics.size());
            if (fresh) {
                request.topics.emplace_back().topic_id = id.topic_id;
            }
            auto& partition = request.topics[at->second].partitions.emplace_back();
            partition.partition_index = id.partition.value;
            partition.leader_epoch = entry.proposal.leader_epoch.value;
            partition.partition_epoch = entry.proposal.partition_epoch.value;
            if (entry.proposal.raise_to) {
                std::array<std::byte, sizeof(std::int32_t)> epoch;
                store_big_endian(epoch.data(), entry.proposal.raise_to->value);
                partition.unknown_tags.push_back(
                    {.tag = metadata::link_tag, .data = arena.copy(ByteView(epoch))});
            }
            for (const BrokerId member : entry.proposal.isr) {
                const auto seen = entry.proposal.epochs.find(member);
                partition.new_isr_with_epochs.push_back(
                    {.broker_id = member.value,
                     .broker_epoch = member == self ? lifecycle->epoch().value
                                     : seen == entry.proposal.epochs.end() ? -1
                                                                           : seen->second.value});
            }
        }
        Buffer body;
        protocol::Writer writer(body);
        request.encode(writer, AlterPartitionRequest::max_version);
        MR_ASSERT(writer.ok());
        controller->call(AlterPartitionRequest::api_key, AlterPartitionRequest::max_version,
                         std::move(body), as_long_as_it_takes,
                         [weak = weak_from_this()](Result<Answer> answer) {
                             if (auto inside = weak.lock()) {
                                 inside->on_answer(answer);
                             }
                         });
    }

    void on_answer(const Result<Answer>& answer) {
        std::map<TopicIdPartition, Entry> asked = std::exchange(in_flight, {});
        KafkaError all = KafkaError::none;
        AlterPartitionResponse response;
        if (!answer) {
            all = KafkaError::request_timed_out;
        } else {
            protocol::Reader reader(answer->body);
            response.decode(reader, answer->version);
            all = reader.ok() ? static_cast<KafkaError>(response.error_code)
                              : KafkaError::unknown_server_error;
        }
        for (const auto& topic : response.topics) {
            for (const auto& partition : topic.partitions) {
                const auto at =
                    asked.find({topic.topic_id, PartitionIndex{partition.partition_index}});
                if (at == asked.end()) {
                    continue;
                }
                if (partition.error_code == 0) {
                    asked.erase(at);  // the new state comes with the metadata
                } else {
                    refuse(at->second, static_cast<KafkaError>(partition.error_code));
                    asked.erase(at);
                }
            }
        }
        for (auto& [id, entry] : asked) {
            refuse(entry, all);
        }
        send();
    }

    void refuse(Entry& entry, KafkaError error) {
        if (error != KafkaError::request_timed_out) {  // else it is made again, ten times a second
            MR_LOG(log, info, "replication.isr_proposal_refused",
                   field("partition", entry.proposal.id.partition), field("error", error));
        }
        const std::size_t shard = replicas->shard_of(entry.proposal.id);
        replicas->executor(shard).post(
            [refused = std::move(entry.refused), error]() mutable { refused(error); });
    }

    BrokerId self;
    runtime::Executor& control;
    const Logger& log;
    ControllerLink* controller = nullptr;
    const Lifecycle* lifecycle = nullptr;
    const replication::Replicas* replicas = nullptr;
    std::map<TopicIdPartition, Entry> waiting;
    std::map<TopicIdPartition, Entry> in_flight;
    bool is_armed = false;
};

IsrProposals::IsrProposals(BrokerId self, runtime::Executor& control, const Logger& log)
    : inside_(std::make_shared<Inside>(self, control, log)) {}

IsrProposals::~IsrProposals() = default;

void IsrProposals::connect(ControllerLink& controller, const Lifecycle& lifecycle,
                           const replication::Replicas& replicas) {
    inside_->controller = &controller;
    inside_->lifecycle = &lifecycle;
    inside_->replicas = &replicas;
    inside_->send();
}

void IsrProposals::propose(Proposal proposal, UniqueFunction<void(KafkaError)> refused) {
    inside_->control.post(
        [inside = inside_, proposal = std::move(proposal), refused = std::move(refused)]() mutable {
            const TopicIdPartition id = proposal.id;
            if (proposal.raise_to && inside->waiting.contains(id)) {
                return;  // a mirror asks again; the ISR comes first
            }
            inside->waiting.insert_or_assign(
                id, Inside::Entry{std::move(proposal), std::move(refused)});
            inside->send_soon();
        });
}

}  // namespace millrace::app
