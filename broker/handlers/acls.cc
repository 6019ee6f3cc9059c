// DescribeAcls, CreateAcls, DeleteAcls: without an authorizer there is nothing to list or to
// change, which tools expect to hear as SECURITY_DISABLED.

#include "handlers/handlers.h"
#include "protocol/messages/create_acls_request.h"
#include "protocol/messages/create_acls_response.h"
#include "protocol/messages/delete_acls_request.h"
#include "protocol/messages/delete_acls_response.h"
#include "protocol/messages/describe_acls_request.h"
#include "protocol/messages/describe_acls_response.h"

namespace millrace::handlers {
namespace {

constexpr std::string_view no_authorizer = "no authorizer is configured on this broker";

template <typename Result>
void refuse(Result& result) {
    result.error_code = code_of(KafkaError::security_disabled);
    result.error_message = no_authorizer;
}

}  // namespace

void describe_acls(const Doors&,
                   Call<protocol::DescribeAclsRequest, protocol::DescribeAclsResponse> call) {
    protocol::DescribeAclsResponse response;
    refuse(response);
    call.answer(response);
}

void create_acls(const Doors&,
                 Call<protocol::CreateAclsRequest, protocol::CreateAclsResponse> call) {
    protocol::CreateAclsResponse response;
    for (std::size_t i = 0; i < call.request().creations.size(); ++i) {
        refuse(response.results.emplace_back());
    }
    call.answer(response);
}

void delete_acls(const Doors&,
                 Call<protocol::DeleteAclsRequest, protocol::DeleteAclsResponse> call) {
    protocol::DeleteAclsResponse response;
    for (std::size_t i = 0; i < call.request().filters.size(); ++i) {
        refuse(response.filter_results.emplace_back());
    }
    call.answer(response);
}

}  // namespace millrace::handlers
