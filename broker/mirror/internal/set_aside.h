// mirror/internal/set_aside.h
//
// What a cut will take from a mirror's log, kept in a file in the partition's directory first: the
// batches as they lie in a segment, under a name that loading passes by. Who wants them back
// renames it to <first offset>.log and reads it with any tool that reads segments.
#pragma once

#include <cstdint>
#include <string>

#include "replication/replicas.h"
#include "runtime/node.h"

namespace millrace::mirror {

struct SetAsideJob {
    runtime::Disk* disk;
    runtime::DiskPool* pool;
    runtime::Executor* home;
    replication::ShardReplicas* replicas;
    TopicIdPartition id;
    LeaderEpoch leader_epoch;
    std::string folder;
    Offset from;
    Offset to;
};

struct Kept {
    std::string path;
    std::uint64_t bytes = 0;
};

/// The file is on the device when `done` runs, on the home loop. A repetition writes it anew.
void set_aside(SetAsideJob job, UniqueFunction<void(Result<Kept>)> done);

}  // namespace millrace::mirror
