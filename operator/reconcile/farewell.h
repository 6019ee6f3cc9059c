// operator/reconcile/farewell.h
//
// What an operator does last. Called once, after its workers have ended: nothing else of it writes.
#pragma once

#include <string>

#include "base/result.h"
#include "operator/kube/api.h"

namespace millrace::reconcile {

/// Where the operator's own namespace is being deleted, its finalizers are taken off all that is in
/// there: the operator ends before those objects do, and nobody would be left to do it. Tells off
/// how many; 0 where the namespace stays.
Result<int> leave_namespace(kube::Api& api, const std::string& space);

}  // namespace millrace::reconcile
