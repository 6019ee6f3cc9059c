// admin/internal/calls.h
//
// One function a call: from its message through a door to its answer. No limits, no rules here.
#pragma once

#include <functional>

#include "admin/doors.h"
#include "admin/plan_doors.h"
#include "millrace/admin/v1/admin.pb.h"

namespace millrace::admin {

template <typename Response>
using Answer = UniqueFunction<void(Result<Response>)>;

#define MR_CALL(name)                                                             \
    void name(AdminDoors& doors, Caller caller, const v1::name##Request& request, \
              Answer<v1::name##Response> answer);

namespace calls {
MR_CALL(Identity)
MR_CALL(RestartCheck)
MR_CALL(RestartProgress)
MR_CALL(DrainLeaders)
MR_CALL(Cordon)
MR_CALL(Uncordon)
MR_CALL(UnregisterBroker)
MR_CALL(DescribeQuorum)
MR_CALL(AddVoter)
MR_CALL(RemoveVoter)
MR_CALL(ReloadCertificates)
MR_CALL(ValidateConfig)
MR_CALL(DescribeLogDirs)
MR_CALL(CreateTopics)
MR_CALL(DeleteTopics)
MR_CALL(ListTopics)
MR_CALL(DescribeTopics)
MR_CALL(CreatePartitions)
MR_CALL(DeleteRecords)
MR_CALL(ElectLeaders)
MR_CALL(DescribeConfigs)
MR_CALL(AlterConfigs)
MR_CALL(ListGroups)
MR_CALL(DescribeGroups)
MR_CALL(GroupLag)
MR_CALL(AlterGroupOffsets)
MR_CALL(DeleteGroups)
MR_CALL(ApplyLink)
MR_CALL(GetLink)
MR_CALL(ListLinks)
MR_CALL(DeleteLink)
MR_CALL(ListMirrorPartitions)
MR_CALL(PlacementView)
MR_CALL(PlanRebalance)
MR_CALL(ApplyPlan)
MR_CALL(GetPlan)
MR_CALL(ListPlans)
MR_CALL(PausePlan)
MR_CALL(ResumePlan)
MR_CALL(CancelPlan)
MR_CALL(RollbackPlan)
}  // namespace calls

#undef MR_CALL

void fill_partition(v1::TopicPartition& to, const TopicPartition& from);
v1::HealthResponse to_proto(const Health& health);
v1::LinkState to_proto(const mirror::LinkView& view);
v1::PlanProgress to_proto(const PlanProgress& progress);

}  // namespace millrace::admin
