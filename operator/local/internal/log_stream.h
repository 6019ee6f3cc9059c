// operator/local/internal/log_stream.h
//
// `kubectl logs`: the end of a container's file, and what is written to it afterwards.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "operator/local/internal/api_error.h"
#include "operator/local/internal/http_door.h"
#include "operator/local/internal/request.h"

namespace millrace::local {

struct LogSource {
    std::filesystem::path path;
    std::string container;
};

/// Which file the request means, as the kubelet would answer it.
ApiResult<LogSource> find_log(const std::filesystem::path& dir, const LogStart& request,
                              const Json& pod);

/// What the file holds now, cut to the request; `read_to` is where it ended.
std::string read_log(const std::filesystem::path& path, const LogStart& request,
                     std::uint64_t& read_to);

struct Follower {
    LogStart request;
    LogSource source;
    std::uint64_t offset = 0;
    std::shared_ptr<HttpStream> stream;
};

/// Sends what is new.
void follow(Follower& follower);

}  // namespace millrace::local
