// groups/internal/describe.h
//
// Groups as tools and operators see them.
#pragma once

#include <string_view>
#include <vector>

#include "groups/internal/answer.h"
#include "groups/internal/shard_state.h"
#include "protocol/messages/consumer_group_describe_response.h"
#include "protocol/messages/describe_groups_response.h"
#include "protocol/messages/list_groups_request.h"
#include "protocol/messages/list_groups_response.h"

namespace millrace::groups {

using DescribedClassic = protocol::DescribeGroupsResponse::DescribedGroup;
using DescribedConsumer = protocol::ConsumerGroupDescribeResponse::DescribedGroup;

AnswerPtr<DescribedClassic> describe_classic(const ShardState& state, std::string_view group,
                                             std::int16_t version);
AnswerPtr<DescribedConsumer> describe_consumer(const ShardState& state, std::string_view group);

/// Adds the groups that pass the request's filters.
void list(const ShardState& state, const protocol::ListGroupsRequest& request,
          Answer<protocol::ListGroupsResponse>& answer);

GroupLag lag_of(const ShardState& state, const Group& group, const EndOffsets& ends);

}  // namespace millrace::groups
