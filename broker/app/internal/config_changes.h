// app/internal/config_changes.h
//
// Whom a change of settings concerns.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "metadata/delta.h"
#include "model/ids.h"

namespace millrace::app {

/// The topics whose settings changed; none if settings of this broker or of the cluster changed
/// too, which may be any topic's. Mirror links lie among those and are no settings.
std::optional<std::vector<std::string>> only_topics_changed(const metadata::Delta& delta,
                                                            const metadata::Image& next,
                                                            BrokerId self);

}  // namespace millrace::app
