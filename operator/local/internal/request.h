// operator/local/internal/request.h
//
// What comes in and what goes out of the API, without HTTP's wire.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "operator/local/internal/kinds.h"
#include "operator/local/internal/selectors.h"
#include "operator/local/internal/store.h"

namespace millrace::local {

struct Request {
    std::string method;
    std::string path;                            ///< Decoded, without the query.
    std::map<std::string, std::string> query;    ///< Decoded.
    std::map<std::string, std::string> headers;  ///< Names in lower case.
    std::string body;

    std::string header(const std::string& name) const;
    std::string parameter(const std::string& name) const;
    bool flag(const std::string& name) const;  ///< "true" or "1".
};

/// Splits and decodes "/a/b?c=d%20e".
Request make_request(std::string method, std::string_view target);

struct Response {
    int code = 200;
    std::string content_type = "application/json";
    std::string body;
    std::vector<std::string> warnings;  ///< Each becomes a `Warning` header.
};

/// How objects are shown to this client: as they are, or as rows.
struct Presentation {
    bool table = false;
    bool metadata_only = false;
    std::string include_object = "Metadata";  ///< In rows: None, Metadata, Object.
};

/// A watch that the server keeps open: the first lines, then what happens after `after`.
struct WatchStart {
    const Kind* kind = nullptr;
    std::string space;
    Selectors selectors;
    Presentation presentation;
    std::uint64_t after = 0;
    bool bookmarks = false;
    std::int64_t timeout_seconds = 0;
    std::string first;  ///< Lines to send at once.
};

/// A pod's log; the server reads the file.
struct LogStart {
    std::string space;
    std::string pod;
    std::string container;
    bool follow = false;
    bool previous = false;
    bool timestamps = false;
    std::int64_t tail_lines = -1;
    std::int64_t limit_bytes = -1;
};

using Reply = std::variant<Response, WatchStart, LogStart>;

}  // namespace millrace::local
