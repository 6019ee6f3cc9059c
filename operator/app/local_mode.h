// operator/app/local_mode.h
//
// The world that local mode brings along: its API server with our kinds, and the manifests to begin
// with.
#pragma once

#include <memory>

#include "base/log.h"
#include "base/result.h"
#include "operator/app/options.h"
#include "operator/kube/api.h"
#include "operator/kube/json.h"
#include "operator/local/local_cluster.h"

namespace millrace::op {

Result<std::unique_ptr<local::LocalCluster>> start_local(const CommandLine& line, Logger log);

/// Every document of these files, as strictly judged as kubectl and the operator do. Needs nothing
/// that runs: who is told of a mistake has started nothing yet.
Result<std::vector<kube::Json>> read_manifests(const std::vector<std::filesystem::path>& files);

/// Every object that isn't stored yet, as a person with kubectl would: by a field manager of its
/// own. What was edited since an earlier start stays edited. Answers the objects as they are
/// stored.
Result<std::vector<kube::Json>> apply_manifests(const std::vector<kube::Json>& objects,
                                                const std::filesystem::path& kubeconfig,
                                                Logger log);

/// One word of a shell's command line.
std::string shell_quoted(const std::string& text);

/// How far a cluster is, and what to try once it is ready; for a person.
std::string progress(const kube::Json& cluster);
std::string greeting(const kube::Json& cluster, const std::vector<kube::Json>& applied,
                     const std::filesystem::path& kubeconfig);

}  // namespace millrace::op
