// mirror/internal/same_records.h
//
// Whether two batches that lie at one place may be of one history, of which compaction has left
// each side what it has.
#pragma once

#include "record/batch_view.h"

namespace millrace::mirror {

/// Compaction takes records away and changes none: what both still have at an offset has the same
/// key, value and headers. Batches that can't be read have nothing that could be compared.
bool agree(const record::BatchView& theirs, const record::BatchView& ours);

}  // namespace millrace::mirror
