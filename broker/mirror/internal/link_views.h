// mirror/internal/link_views.h
//
// What is told of a link: what its runner knows, what the metadata says of its topics, and what
// this broker's shards say of the partitions that they pull.
#pragma once

#include <vector>

#include "metadata/image.h"
#include "mirror/link.h"
#include "mirror/state.h"

namespace millrace::mirror {

struct LocalTopic;
/// What a topic's list of losses says.
std::vector<LostRange> losses_of(const LocalTopic& topic);

/// `known` has what its runner knows; the topics come from the metadata, and what is wished for
/// them from the link.
LinkView whole_view(LinkView known, const LinkSpec& spec, const metadata::Image& image,
                    const std::vector<PartitionView>& partitions);

}  // namespace millrace::mirror
