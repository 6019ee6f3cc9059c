// operator/local/internal/api.h
//
// From a request to a reply: routes, representations, lists and watches. Pure over Resources; the
// server holds the lock around handle() and feeds changes to watches.
#pragma once

#include <optional>
#include <string>

#include "operator/local/internal/request.h"
#include "operator/local/internal/resources.h"

namespace millrace::local {

class Api {
public:
    Api(Resources& resources, std::string address)
        : resources_(resources), kinds_(resources.kinds()), address_(std::move(address)) {}

    Reply handle(const Request& request);

    /// The line a watch sends for a change; nothing if the watcher isn't concerned.
    std::optional<std::string> watch_line(const WatchStart& watch, const Change& change,
                                          bool first) const;
    std::string bookmark_line(const WatchStart& watch, bool initial_end) const;

private:
    struct Target {
        const Kind* kind = nullptr;
        std::string space;
        std::string name;
        std::string subresource;
    };

    std::optional<Reply> document(const Request& request) const;
    std::optional<Target> route(const Request& request) const;
    ApiResult<Reply> dispatch(const Request& request, const Target& target);
    ApiResult<Reply> read(const Request& request, const Target& target) const;
    ApiResult<Reply> list(const Request& request, const Target& target) const;
    ApiResult<Reply> start_watch(const Request& request, const Target& target,
                                 Selectors selectors) const;
    ApiResult<Reply> post(const Request& request, const Target& target);
    ApiResult<Reply> put(const Request& request, const Target& target);
    ApiResult<Reply> patch(const Request& request, const Target& target);
    ApiResult<Reply> erase(const Request& request, const Target& target);
    ApiResult<Reply> evict(const Target& target, const Json& body);
    ApiResult<Selectors> selectors(const Request& request, const Target& target) const;
    ApiResult<WriteOptions> write_options(const Request& request) const;
    Response shown(const Request& request, const Kind& kind, const Json& object, int code,
                   const WriteOptions* options = nullptr) const;
    std::string event_line(const WatchStart& watch, std::string_view type, const Json& object,
                           bool with_columns) const;

    Resources& resources_;
    const KindTable& kinds_;
    const std::string address_;
};

Response to_response(const ApiError& error);

}  // namespace millrace::local
