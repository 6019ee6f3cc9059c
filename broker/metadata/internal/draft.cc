#include "base/assert.h"
#include "metadata/controller_core.h"

namespace millrace::metadata {

Draft::Draft(const Image& base) : delta_(base) {}
Draft::Draft(const Draft&) = default;
Draft::Draft(Draft&&) noexcept = default;
Draft& Draft::operator=(const Draft&) = default;
Draft& Draft::operator=(Draft&&) noexcept = default;
Draft::~Draft() = default;

void Draft::apply_last() {
    const std::size_t last = records_.size() - 1;
    const Result<void> applied =
        delta_.replay(records_[last], Offset{static_cast<std::int64_t>(last)});
    MR_ASSERT(applied.has_value());
}

}  // namespace millrace::metadata
