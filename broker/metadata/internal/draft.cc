#include "base/assert.h"
#include "metadata/controller_core.h"

namespace millrace::metadata {

void Draft::apply_last() {
    const std::size_t last = records_.size() - 1;
    const Result<void> applied =
        delta_.replay(records_[last], Offset{static_cast<std::int64_t>(last)});
    MR_ASSERT(applied.has_value());
}

}  // namespace millrace::metadata
