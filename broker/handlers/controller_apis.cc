#include "handlers/controller_apis.h"

#include <memory>
#include <set>
#include <string>

#include "handlers/failed_items.h"
#include "metadata/controller_core.h"
#include "protocol/messages/allocate_producer_ids_request.h"
#include "protocol/messages/allocate_producer_ids_response.h"
#include "protocol/messages/alter_client_quotas_request.h"
#include "protocol/messages/alter_client_quotas_response.h"
#include "protocol/messages/alter_configs_request.h"
#include "protocol/messages/alter_configs_response.h"
#include "protocol/messages/alter_partition_reassignments_request.h"
#include "protocol/messages/alter_partition_reassignments_response.h"
#include "protocol/messages/alter_partition_request.h"
#include "protocol/messages/alter_partition_response.h"
#include "protocol/messages/alter_user_scram_credentials_request.h"
#include "protocol/messages/alter_user_scram_credentials_response.h"
#include "protocol/messages/assign_replicas_to_dirs_request.h"
#include "protocol/messages/assign_replicas_to_dirs_response.h"
#include "protocol/messages/broker_heartbeat_request.h"
#include "protocol/messages/broker_heartbeat_response.h"
#include "protocol/messages/broker_registration_request.h"
#include "protocol/messages/broker_registration_response.h"
#include "protocol/messages/controller_registration_request.h"
#include "protocol/messages/controller_registration_response.h"
#include "protocol/messages/create_acls_request.h"
#include "protocol/messages/create_acls_response.h"
#include "protocol/messages/create_partitions_request.h"
#include "protocol/messages/create_partitions_response.h"
#include "protocol/messages/create_topics_request.h"
#include "protocol/messages/create_topics_response.h"
#include "protocol/messages/delete_acls_request.h"
#include "protocol/messages/delete_acls_response.h"
#include "protocol/messages/delete_topics_request.h"
#include "protocol/messages/delete_topics_response.h"
#include "protocol/messages/elect_leaders_request.h"
#include "protocol/messages/elect_leaders_response.h"
#include "protocol/messages/incremental_alter_configs_request.h"
#include "protocol/messages/incremental_alter_configs_response.h"
#include "protocol/messages/list_partition_reassignments_request.h"
#include "protocol/messages/list_partition_reassignments_response.h"
#include "protocol/messages/unregister_broker_request.h"
#include "protocol/messages/unregister_broker_response.h"
#include "protocol/messages/unregister_controller_request.h"
#include "protocol/messages/unregister_controller_response.h"
#include "protocol/messages/update_features_request.h"
#include "protocol/messages/update_features_response.h"
#include "protocol/reader.h"
#include "protocol/record_frame.h"

namespace millrace::handlers {
namespace {

using metadata::Context;
using metadata::Decision;
using protocol::RequestBody;

/// Decodes, submits, encodes. `decide` is called with (context, request, version) on the
/// controller's speculative image.
template <typename Request, typename Answer, typename Decide>
void run(metadata::Controller& controller, std::int16_t version, const RequestBody& body,
         ControllerApis::Done done, Decide decide) {
    struct Held {
        Buffer bytes;
        Request request;
    };
    auto held = std::make_shared<Held>();
    held->bytes.assign(body.bytes().begin(), body.bytes().end());
    protocol::Reader reader(held->bytes, body.budget());
    held->request.decode(reader, version);
    body.tell_made(held->bytes.size() + reader.charged());
    if (!reader.ok()) {
        done(reader.error());
        return;
    }
    controller.submit<Answer>(
        [held, version, decide](Context& context) {
            if constexpr (has_time<Request>) {
                if (Decision<Answer> undone(context);
                    fail_without_time(held->request, undone.answer, version)) {
                    return undone;
                }
            }
            return decide(context, held->request, version);
        },
        [held, version,
         done = std::move(done)](Result<metadata::Answered<Answer>> decision) mutable {
            if (!decision) {
                done(decision.error());
                return;
            }
            done(protocol::encode_whole(decision->body, version));
        });
}

template <typename Request, typename Answer>
using Manager = Decision<Answer> (*)(Context&, const Request&);

struct Row {
    std::int16_t api_key;
    void (*handle)(metadata::Controller&, std::int16_t, const RequestBody&, ControllerApis::Done);
};

template <typename Request, typename Answer, Manager<Request, Answer> manager>
constexpr Row row() {
    return {Request::api_key, [](metadata::Controller& controller, std::int16_t version,
                                 const RequestBody& body, ControllerApis::Done done) {
                run<Request, Answer>(controller, version, body, std::move(done),
                                     [](Context& context, const Request& request, std::int16_t) {
                                         return manager(context, request);
                                     });
            }};
}

Row create_topics_row() {
    using protocol::CreateTopicsRequest;
    using protocol::CreateTopicsResponse;
    return {CreateTopicsRequest::api_key, [](metadata::Controller& controller, std::int16_t version,
                                             const RequestBody& body, ControllerApis::Done done) {
                run<CreateTopicsRequest, CreateTopicsResponse>(
                    controller, version, body, std::move(done),
                    [](Context& context, const CreateTopicsRequest& request, std::int16_t) {
                        std::set<std::string, std::less<>> describable;
                        for (const auto& topic : request.topics) {
                            describable.insert(std::string(topic.name));
                        }
                        return metadata::create_topics(context, request, describable);
                    });
            }};
}

/// Clients of the oldest versions don't know the code for topics that can't be deleted.
Row delete_topics_row() {
    using protocol::DeleteTopicsRequest;
    using protocol::DeleteTopicsResponse;
    static constexpr std::int16_t first_version_with_disabled = 3;
    return {DeleteTopicsRequest::api_key, [](metadata::Controller& controller, std::int16_t version,
                                             const RequestBody& body, ControllerApis::Done done) {
                run<DeleteTopicsRequest, DeleteTopicsResponse>(
                    controller, version, body, std::move(done),
                    [](Context& context, const DeleteTopicsRequest& request, std::int16_t version) {
                        auto decision = metadata::delete_topics(context, request);
                        for (auto& one : decision.answer.responses) {
                            if (version < first_version_with_disabled &&
                                one.error_code == code_of(KafkaError::topic_deletion_disabled)) {
                                one.error_code = code_of(KafkaError::invalid_request);
                            }
                        }
                        return decision;
                    });
            }};
}

#define MR_ROW(Api, function) \
    row<protocol::Api##Request, protocol::Api##Response, &metadata::function>()

const std::vector<Row>& rows() {
    static const std::vector<Row> all = {
        create_topics_row(),
        MR_ROW(AlterPartition, alter_partition),
        MR_ROW(AllocateProducerIds, allocate_producer_ids),
        MR_ROW(AlterClientQuotas, alter_client_quotas),
        MR_ROW(AlterConfigs, alter_configs),
        MR_ROW(AlterPartitionReassignments, alter_partition_reassignments),
        MR_ROW(AlterUserScramCredentials, alter_user_scram_credentials),
        MR_ROW(AssignReplicasToDirs, assign_replicas_to_dirs),
        MR_ROW(BrokerHeartbeat, broker_heartbeat),
        MR_ROW(BrokerRegistration, register_broker),
        MR_ROW(ControllerRegistration, register_controller),
        MR_ROW(CreateAcls, create_acls),
        MR_ROW(CreatePartitions, create_partitions),
        MR_ROW(DeleteAcls, delete_acls),
        delete_topics_row(),
        MR_ROW(ElectLeaders, elect_leaders),
        MR_ROW(IncrementalAlterConfigs, incremental_alter_configs),
        MR_ROW(ListPartitionReassignments, list_partition_reassignments),
        MR_ROW(UnregisterBroker, unregister_broker),
        MR_ROW(UnregisterController, unregister_controller),
        MR_ROW(UpdateFeatures, update_features),
    };
    return all;
}

const Row* find(std::int16_t api_key) {
    for (const Row& row : rows()) {
        if (row.api_key == api_key) {
            return &row;
        }
    }
    return nullptr;
}

}  // namespace

bool ControllerApis::serves(std::int16_t api_key) {
    return find(api_key) != nullptr;
}

void ControllerApis::handle(std::int16_t api_key, std::int16_t version, const RequestBody& body,
                            Done done) {
    const Row* row = find(api_key);
    if (row == nullptr) {
        done(Error::make(Code::unsupported, "the controller does not serve API {}", api_key));
        return;
    }
    row->handle(controller_, version, body, std::move(done));
}

}  // namespace millrace::handlers
