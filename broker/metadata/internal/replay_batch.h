// metadata/internal/replay_batch.h
//
// The records of one batch onto a delta.
#pragma once

#include "base/result.h"
#include "metadata/delta.h"
#include "record/batch_view.h"
#include "record/compression.h"

namespace millrace::metadata {

Result<void> replay_batch(Delta& delta, const record::BatchView& batch,
                          record::Decompressor& decompressor);

}  // namespace millrace::metadata
