// operator/local/rehearsal.h
//
// What local mode's API server would say to an object, asked before there is one: nothing is
// started, nothing is stored. As strict as kubectl is. Pure.
#pragma once

#include <vector>

#include "base/result.h"
#include "operator/kube/json.h"
#include "operator/local/local_cluster.h"

namespace millrace::local {

/// The first of the objects that would be refused, with the reason in one line. A field that no
/// schema knows is named with the nearest that it knows.
Result<void> rehearse(const std::vector<kube::Json>& crds, const RuleTable& rules,
                      const std::vector<kube::Json>& objects);

}  // namespace millrace::local
