// operator/kube/internal/wire.h
//
// The pure half of the client: paths, errors, lines of a watch.
#pragma once

#include <optional>
#include <string>

#include "operator/kube/api.h"

namespace millrace::kube {

/// "/api/v1/namespaces/x/pods"; all namespaces if `space` is empty.
std::string collection_path(const Kind& kind, const std::string& space);
std::string object_path(const Kind& kind, const ObjectKey& key);
void add_query(std::string& target, std::string_view name, const std::string& value);

/// What an answer other than 2xx means; `body` holds a Status, if the server is Kubernetes.
Error error_of(const std::string& method, const std::string& target, int code,
               const std::string& body);

/// Items of a list carry neither apiVersion nor kind; alone, objects do. They are made alike.
void complete_item(const Kind& kind, Json& item);

/// Bytes to lines.
class LineSplitter {
public:
    void add(std::string_view bytes) { pending_.append(bytes); }
    std::optional<std::string> next();

private:
    std::string pending_;
    std::size_t searched_ = 0;
};

struct WatchLine {
    Change change = Change::bookmark;
    Json object;
};
/// An ERROR line is an error: `closed` when the version is too old to go on from.
Result<WatchLine> parse_watch_line(const std::string& line);

}  // namespace millrace::kube
