// operator/local/internal/table.h
//
// Objects as rows: what `kubectl get` prints. Pure.
#pragma once

#include <vector>

#include "base/time.h"
#include "operator/local/internal/kinds.h"
#include "operator/local/internal/store.h"

namespace millrace::local {

/// A meta.k8s.io/v1 Table. `include_object`: None, Metadata or Object.
Json to_table(const Kind& kind, const std::vector<Json>& objects, std::string_view include_object,
              Timestamp now, bool with_columns);

Json partial_metadata(const Json& object);

}  // namespace millrace::local
