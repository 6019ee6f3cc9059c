// mirror/internal/sealed_secret.h
//
// A link's password as it lies in the cluster's metadata: AES-256-GCM under a key that is derived
// from the cluster's id. It keeps passwords out of dumps, backups and searches; who has the log and
// the cluster's id can still open it, as no key of the operator's own is configured anywhere yet.
#pragma once

#include <string_view>

#include "base/random.h"
#include "base/result.h"
#include "base/secret.h"
#include "mirror/link.h"

namespace millrace::mirror {

Secret seal(const Secret& plain, std::string_view cluster_id, Random& random);
/// What was stored before secrets were sealed comes back as it is.
Result<Secret> unseal(const Secret& stored, std::string_view cluster_id);
/// The same link with its secrets open.
Result<LinkSpec> unsealed(LinkSpec spec, std::string_view cluster_id);

}  // namespace millrace::mirror
