// operator/brokers/client.h
//
// The Directory over gRPC. Each cluster has one health stream, to one broker at a time; when it
// breaks, the next broker is asked. gRPC owns the threads; `on_news` is called on them, with the
// cluster's name, whenever the health has changed or nobody answers any more.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/log.h"
#include "base/time.h"
#include "operator/brokers/admin.h"

namespace millrace::brokers {

struct DirectoryOptions {
    Duration deadline = 5s;        ///< Of one call.
    Duration slow_deadline = 20s;  ///< Of a call that makes topics or plans.
    std::function<void(const std::string& cluster)> on_news;
    Logger log;
};

std::shared_ptr<Directory> make_directory(DirectoryOptions options);

}  // namespace millrace::brokers
