// operator/brokers/internal/convert.h
//
// Between millrace.admin.v1 and plain values. Pure.
#pragma once

#include <grpcpp/support/status.h>
#include <string>

#include "base/result.h"
#include "millrace/admin/v1/admin.pb.h"
#include "operator/brokers/facts.h"

namespace millrace::brokers {

namespace v1 = millrace::admin::v1;

Error error_of(const grpc::Status& status, std::string_view call);
ClusterFacts from_proto(const v1::HealthResponse& health, const std::string& cluster_id);
RestartVerdict from_proto(const v1::RestartCheckResponse& response);
QuorumFacts from_proto(const v1::QuorumHealth& quorum);
Result<Volumes> from_proto(const v1::DescribeLogDirsResponse& response, int broker);
Result<v1::AddVoterRequest> to_proto(const QuorumNode& node, const std::string& address);
RestartProgress from_proto(const v1::RestartProgressResponse& response);
CertificateUse from_proto(const v1::ReloadCertificatesResponse& response);
PlanFacts from_proto(const v1::Plan& plan);
PlanProgress from_proto(const v1::PlanProgress& progress);
TopicFacts from_proto(const v1::TopicDescription& topic);
v1::PlanRebalanceRequest to_proto(const PlanWish& wish);
v1::AlterConfigsRequest to_proto(const std::vector<SettingsChange>& changes);
Result<void> all_done(const std::vector<Outcome>& outcomes);  ///< Of AlterConfigs.
v1::AlterConfigsRequest cordon_request(int broker, const std::vector<std::string>& paths);
std::vector<Outcome> from_proto(const v1::AlterConfigsResponse& response);

}  // namespace millrace::brokers
