// operator/kube/client.h
//
// The API server over HTTPS. Refused with 429, or with 5xx on what may be repeated, a call is tried
// again a few times, as late as the server says; then the caller gets the error and its own work
// queue waits longer. Owns no thread of its own: cpprest's pool carries the bytes.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/log.h"
#include "operator/kube/api.h"
#include "operator/kube/credentials.h"

namespace millrace::kube {

struct ClientOptions {
    std::string field_manager = "millrace-operator";
    std::chrono::seconds deadline{15};       ///< Of one call.
    std::chrono::seconds watch_length{290};  ///< The server ends a watch after this long.
    int tries = 4;
    int page = 500;  ///< Objects in one page of a list.
    /// Threads of cpprest's pool, which the whole process shares; the first client decides.
    int pool_threads = 4;
    Logger log;
};

Result<std::shared_ptr<Api>> connect(Credentials credentials, ClientOptions options);

}  // namespace millrace::kube
