#include "app/internal/directory_reports.h"

#include <map>
#include <utility>

#include "model/kafka_error.h"
#include "protocol/messages/assign_replicas_to_dirs_request.h"
#include "protocol/messages/assign_replicas_to_dirs_response.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::app {
namespace {

using protocol::AssignReplicasToDirsRequest;
using protocol::AssignReplicasToDirsResponse;
using Answer = handlers::ControllerDoor::Answer;

constexpr Duration report_timeout = 5s;
constexpr Duration gather_time = 20ms;
constexpr Duration report_again = 1s;
constexpr std::size_t most_at_once = 2000;

}  // namespace

struct DirectoryReports::Inside : std::enable_shared_from_this<DirectoryReports::Inside> {
    Inside(BrokerId self_in, runtime::Executor& control_in, ControllerLink& controller_in,
           const Lifecycle& lifecycle_in, const Logger& log_in)
        : self(self_in),
          control(control_in),
          controller(controller_in),
          lifecycle(lifecycle_in),
          log(log_in) {}

    void send_after(Duration pause) {
        if (armed || !in_flight.empty()) {
            return;
        }
        armed = true;
        control.after(pause, [weak = weak_from_this()] {
            if (auto inside = weak.lock()) {
                inside->armed = false;
                inside->send();
            }
        });
    }

    void send() {
        if (!in_flight.empty() || waiting.empty()) {
            return;
        }
        if (lifecycle.epoch() == BrokerEpoch{-1}) {
            send_after(report_again);  // not registered yet
            return;
        }
        AssignReplicasToDirsRequest request;
        request.broker_id = self.value;
        request.broker_epoch = lifecycle.epoch().value;
        std::map<Uuid, std::map<Uuid, std::vector<PartitionIndex>>> by_directory;
        for (auto at = waiting.begin(); at != waiting.end() && in_flight.size() < most_at_once;) {
            by_directory[at->second][at->first.topic_id].push_back(at->first.partition);
            in_flight.insert(*at);
            at = waiting.erase(at);
        }
        for (const auto& [directory, topics] : by_directory) {
            auto& to_directory = request.directories.emplace_back();
            to_directory.id = directory;
            for (const auto& [topic, partitions] : topics) {
                auto& to_topic = to_directory.topics.emplace_back();
                to_topic.topic_id = topic;
                for (const PartitionIndex partition : partitions) {
                    to_topic.partitions.emplace_back().partition_index = partition.value;
                }
            }
        }
        Buffer body;
        protocol::Writer writer(body);
        request.encode(writer, AssignReplicasToDirsRequest::max_version);
        MR_ASSERT(writer.ok());
        controller.call(AssignReplicasToDirsRequest::api_key,
                        AssignReplicasToDirsRequest::max_version, std::move(body), report_timeout,
                        [weak = weak_from_this()](Result<Answer> answer) {
                            if (auto inside = weak.lock()) {
                                inside->on_answer(answer);
                            }
                        });
    }

    void on_answer(const Result<Answer>& answer) {
        auto asked = std::exchange(in_flight, {});
        AssignReplicasToDirsResponse response;
        auto error = KafkaError::request_timed_out;
        if (answer) {
            protocol::Reader reader(answer->body);
            response.decode(reader, answer->version);
            error = reader.ok() ? static_cast<KafkaError>(response.error_code)
                                : KafkaError::unknown_server_error;
        }
        if (error == KafkaError::unsupported_version) {
            return;  // this cluster keeps no directories in its metadata
        }
        if (error != KafkaError::none) {
            MR_LOG(log, info, "broker.directories_not_assigned", field("error", error));
            waiting.merge(asked);  // what was said since then counts
            send_after(report_again);
            return;
        }
        // A refused one has lost its replica here, or its topic: the metadata will say so.
        send_after(gather_time);
    }

    BrokerId self;
    runtime::Executor& control;
    ControllerLink& controller;
    const Lifecycle& lifecycle;
    const Logger& log;
    std::map<TopicIdPartition, Uuid> waiting;
    std::map<TopicIdPartition, Uuid> in_flight;
    bool armed = false;
};

DirectoryReports::DirectoryReports(BrokerId self, runtime::Executor& control,
                                   ControllerLink& controller, const Lifecycle& lifecycle,
                                   const Logger& log)
    : inside_(std::make_shared<Inside>(self, control, controller, lifecycle, log)) {}

DirectoryReports::~DirectoryReports() = default;

void DirectoryReports::report(const TopicIdPartition& id, Uuid directory) {
    inside_->control.post([weak = std::weak_ptr(inside_), id, directory] {
        if (auto inside = weak.lock()) {
            inside->waiting.insert_or_assign(id, directory);
            inside->send_after(gather_time);
        }
    });
}

}  // namespace millrace::app
