// operator/brokers/internal/convert_links.h
//
// Mirror links between millrace.admin.v1 and plain values. Pure.
#pragma once

#include <vector>

#include "millrace/admin/v1/admin.pb.h"
#include "operator/brokers/link_facts.h"

namespace millrace::brokers {

namespace v1 = millrace::admin::v1;

v1::LinkSpec to_proto(const LinkWish& wish);

/// Each broker tells of the partitions that it leads: records behind add up, time doesn't.
LinkFacts merge(const LinkWish& wish, const std::vector<v1::GetLinkResponse>& answers);

}  // namespace millrace::brokers
