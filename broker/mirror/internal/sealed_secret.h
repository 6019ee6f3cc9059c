// mirror/internal/sealed_secret.h
//
// A link's password as it lies in the cluster's metadata: AES-256-GCM, under a key of whoever runs
// the cluster (millrace.links.key.file), the same for all its brokers. Without one the key is
// derived from the cluster's id: that keeps passwords out of dumps, backups and searches, and no
// more: who has the metadata log has all that it takes to open it.
#pragma once

#include <string_view>

#include "base/random.h"
#include "base/result.h"
#include "base/secret.h"
#include "mirror/link.h"
#include "mirror/links.h"

namespace millrace::mirror {

Secret seal(const Secret& plain, const SealingKeys& keys, Random& random);
/// What was stored before secrets were sealed comes back as it is. Code::not_found: it is sealed
/// under a key that this broker does not have.
Result<Secret> unseal(const Secret& stored, const SealingKeys& keys);
/// Whether it lies under the key that seal() would take now.
bool is_sealed_as_now(const Secret& stored, const SealingKeys& keys);
/// The same link with its secrets open.
Result<LinkSpec> unsealed(LinkSpec spec, const SealingKeys& keys);

}  // namespace millrace::mirror
