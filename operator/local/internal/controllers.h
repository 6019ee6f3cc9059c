// operator/local/internal/controllers.h
//
// What Kubernetes' own controllers and scheduler do, as far as brokers need it. Pure over
// Resources: each pass looks at what is there and writes what follows from it; a pass that finds
// nothing to do writes nothing.
#pragma once

#include <string>
#include <vector>

#include "operator/local/internal/resources.h"

namespace millrace::local {

/// The namespaces, nodes, storage class and CRD objects that are there from the start.
void make_foundation(Resources& resources, const std::vector<std::string>& zones,
                     const std::vector<Json>& crds);

/// Runs every controller until nothing changes any more.
void run_controllers(Resources& resources);

/// One Event about an object; equal ones are counted.
void emit_event(Resources& resources, const Json& about, std::string_view type,
                std::string_view reason, const std::string& message, std::string_view component);

void set_condition(Json& object, std::string_view type, bool status, std::string_view reason,
                   const std::string& message, const std::string& now);
bool pod_is_ready(const Json& pod);

}  // namespace millrace::local
