#include "operator/kube/internal/wire.h"

#include <fmt/core.h>

namespace millrace::kube {

namespace {

Code code_of(int status, std::string_view reason) {
    switch (status) {
        case 400:
        case 422:
        case 415:
            return Code::invalid;
        case 401:
        case 403:
            return Code::permission;
        case 404:
            return Code::not_found;
        case 405:
            return Code::unsupported;
        case 409:
            return reason == "AlreadyExists" ? Code::exists : Code::fenced;
        case 410:
            return Code::closed;
        case 429:
            return Code::busy;
        case 504:
            return Code::timed_out;
        default:
            return status >= 500 ? Code::unavailable : Code::internal;
    }
}

std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~';
        if (plain) {
            out += c;
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
        }
    }
    return out;
}

}  // namespace

ObjectKey key_of(const Json& object) {
    return {object["metadata"]["namespace"].text(), object["metadata"]["name"].text()};
}

std::string collection_path(const Kind& kind, const std::string& space) {
    const bool core = kind.api_version.find('/') == std::string_view::npos;
    std::string path = fmt::format("{}/{}", core ? "/api" : "/apis", kind.api_version);
    if (kind.namespaced && !space.empty()) {
        path += "/namespaces/" + escaped(space);
    }
    return fmt::format("{}/{}", path, kind.plural);
}

std::string object_path(const Kind& kind, const ObjectKey& key) {
    return collection_path(kind, key.space) + "/" + escaped(key.name);
}

void add_query(std::string& target, std::string_view name, const std::string& value) {
    if (!value.empty()) {
        target += fmt::format("&{}={}", name, escaped(value));
    }
}

Error error_of(const std::string& method, const std::string& target, int code,
               const std::string& body) {
    const auto status = Json::parse(body);
    const std::string path = target.substr(0, target.find('?'));
    if (!status || (*status)["kind"].text() != "Status") {
        return Error::make(code_of(code, ""), "{} {}: HTTP {}", method, path, code);
    }
    return Error::make(code_of(code, (*status)["reason"].text()), "{} {}: {}", method, path,
                       (*status)["message"].text());
}

void complete_item(const Kind& kind, Json& item) {
    item["apiVersion"] = std::string(kind.api_version);
    item["kind"] = std::string(kind.kind);
}

std::optional<std::string> LineSplitter::next() {
    const std::size_t end = pending_.find('\n', searched_);
    if (end == std::string::npos) {
        searched_ = pending_.size();
        return std::nullopt;
    }
    std::string line = pending_.substr(0, end);
    pending_.erase(0, end + 1);
    searched_ = 0;
    return line;
}

Result<WatchLine> parse_watch_line(const std::string& line) {
    MR_TRY(Json parsed, Json::parse(line));
    const std::string& type = parsed["type"].text();
    WatchLine result;
    if (type == "ADDED") {
        result.change = Change::added;
    } else if (type == "MODIFIED") {
        result.change = Change::modified;
    } else if (type == "DELETED") {
        result.change = Change::deleted;
    } else if (type == "BOOKMARK") {
        result.change = Change::bookmark;
    } else {
        const Json& status = std::as_const(parsed)["object"];
        const auto code = static_cast<int>(status["code"].integer(500));
        return Error::make(code_of(code, status["reason"].text()), "watch: {}",
                           status["message"].text());
    }
    result.object = std::move(parsed["object"]);
    return result;
}

}  // namespace millrace::kube
