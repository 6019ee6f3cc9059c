// app/internal/what_we_offer.h
//
// What a node says of itself when it registers, as a broker or as a controller.
#pragma once

#include <vector>

#include "metadata/features.h"
#include "metadata/image_cluster.h"

namespace millrace::app {

/// Where we listen and what we can run. The request's texts are views into `endpoints`.
template <typename Request>
void add_what_we_offer(Request& request, const std::vector<metadata::Endpoint>& endpoints) {
    for (const metadata::Endpoint& endpoint : endpoints) {
        request.listeners.push_back({.name = endpoint.listener,
                                     .host = endpoint.host,
                                     .port = endpoint.port,
                                     .security_protocol = endpoint.security_protocol});
    }
    for (const metadata::FeatureInfo& feature : metadata::known_features()) {
        request.features.push_back({.name = feature.name,
                                    .min_supported_version = feature.min,
                                    .max_supported_version = feature.max});
    }
}

}  // namespace millrace::app
